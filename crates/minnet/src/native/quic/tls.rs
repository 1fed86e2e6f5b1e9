//! TLS as libp2p has it: <https://github.com/libp2p/specs/blob/master/tls/tls.md>. Both sides show one certificate that they
//! signed themselves, and in it the node's key vouches for the certificate's key. By rustls over ring.

use std::sync::Arc;

use libp2p::{
    PeerId,
    identity::{Keypair, PublicKey},
};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls13_signature_with_raw_key},
    pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
    version::TLS13,
};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::Peer;

/// libp2p's extension of a certificate.
const EXTENSION: [u64; 9] = [1, 3, 6, 1, 4, 1, 53594, 1, 1];
/// What the node's key signs, before the certificate's key.
const SIGNED: &[u8] = b"libp2p-tls-handshake:";
const ALPN: &[u8] = b"libp2p";
/// An Ed25519 public key in libp2p's envelope.
const KEY: usize = 36;
const SIGNATURE: usize = 64;
/// A sequence of two octet strings, as DER writes it for an Ed25519 key, and for no other.
const SEQUENCE: [u8; 4] = [0x30, (4 + KEY + SIGNATURE) as u8, 0x04, KEY as u8];
const SECOND: [u8; 2] = [0x04, SIGNATURE as u8];

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error(transparent)]
    Certificate(#[from] rcgen::Error),
    #[error("the node's key does not sign")]
    Key,
    #[error(transparent)]
    Tls(#[from] Error),
}

/// For links that are dialled, and for those that come.
pub(crate) fn configs(key: &Keypair) -> Result<(ClientConfig, ServerConfig), TlsError> {
    let (certificate, secret) = certificate(key)?;
    let secret = ring::sign::any_ecdsa_type(&secret.into())?;
    // As it is: rustls itself would not take a certificate with an extension that it does not know.
    let shown = Arc::new(SingleCertAndKey::from(CertifiedKey::new(vec![certificate], secret)));
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(Verifier(provider.clone()));
    let mut client = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier.clone())
        .with_client_cert_resolver(shown.clone());
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(shown);
    // One name stands for everybody, so a ticket of one would be shown to another.
    client.resumption = rustls::client::Resumption::disabled();
    server.send_tls13_tickets = 0;
    client.alpn_protocols = vec![ALPN.to_vec()];
    server.alpn_protocols = vec![ALPN.to_vec()];
    Ok((client, server))
}

/// A certificate with a key of its own, and that key.
fn certificate(key: &Keypair) -> Result<(CertificateDer<'static>, PrivatePkcs8KeyDer<'static>), TlsError> {
    let secret = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let signature = key.sign(&[SIGNED, &secret.public_key_der()[..]].concat()).map_err(|_| TlsError::Key)?;
    let content = [&SEQUENCE[..], &key.public().encode_protobuf()[..], &SECOND[..], &signature[..]].concat();
    let mut extension = rcgen::CustomExtension::from_oid_content(&EXTENSION, content);
    extension.set_criticality(true);
    let mut parts = rcgen::CertificateParams::default();
    parts.distinguished_name = rcgen::DistinguishedName::new();
    parts.custom_extensions.push(extension);
    let certificate = parts.self_signed(&secret)?;
    Ok((certificate.into(), secret.serialize_der().into()))
}

/// What is wrong with a certificate.
fn refused(why: CertificateError) -> Error {
    Error::InvalidCertificate(why)
}

fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, Error> {
    match X509Certificate::from_der(certificate) {
        Ok(([], parsed)) => Ok(parsed),
        _ => Err(refused(CertificateError::BadEncoding)),
    }
}

/// Whose certificate it is.
pub(crate) fn peer_of(certificate: &CertificateDer<'_>) -> Result<PeerId, Error> {
    let certificate = parse(certificate)?;
    let unverified = || refused(CertificateError::ApplicationVerificationFailure);
    let mut content = None;
    for extension in certificate.extensions() {
        let ours = extension.oid.iter().is_some_and(|oid| oid.eq(EXTENSION));
        match ours {
            true if content.is_none() => content = Some(extension.value),
            // It is there twice.
            true => return Err(refused(CertificateError::BadEncoding)),
            false if extension.critical => return Err(refused(CertificateError::UnhandledCriticalExtension)),
            false => {}
        }
    }
    let content = content.and_then(|content| content.strip_prefix(&SEQUENCE)).ok_or_else(unverified)?;
    let (key, rest) = content.split_at_checked(KEY).ok_or_else(unverified)?;
    let signature = rest.strip_prefix(&SECOND).ok_or_else(unverified)?;
    let key = PublicKey::try_decode_protobuf(key).map_err(|_| unverified())?;
    let signed = [SIGNED, certificate.public_key().raw].concat();
    let id = key.to_peer_id();
    if Peer::from_id(id).is_none() || !key.verify(&signed, signature) {
        return Err(unverified());
    }
    if !certificate.validity().is_valid() {
        return Err(refused(CertificateError::Expired));
    }
    // What the signature does not cover says the same as what it covers.
    let algorithms = [&certificate.signature_algorithm, &certificate.tbs_certificate.signature];
    if algorithms[0] != algorithms[1] || certificate.signature_value.unused_bits != 0 {
        return Err(refused(CertificateError::BadEncoding));
    }
    certificate.verify_signature(None).map_err(|_| refused(CertificateError::BadSignature))?;
    Ok(id)
}

#[derive(Debug)]
struct Verifier(Arc<CryptoProvider>);

impl Verifier {
    fn check(&self, certificate: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> Result<(), Error> {
        if !others.is_empty() {
            return Err(refused(CertificateError::ApplicationVerificationFailure));
        }
        peer_of(certificate).map(|_| ())
    }

    fn signed(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let certificate = parse(certificate)?;
        let key = SubjectPublicKeyInfoDer::from(certificate.public_key().raw);
        verify_tls13_signature_with_raw_key(message, &key, signature, &self.0.signature_verification_algorithms)
    }

    fn schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }

    /// Only TLS 1.3 is offered.
    fn too_old() -> Error {
        refused(CertificateError::ApplicationVerificationFailure)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(certificate, others).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Verifier::too_old())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(certificate, others).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Verifier::too_old())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn a_certificate_says_whose_it_is_and_no_byte_that_counts_can_be_changed() {
        let key = Keypair::ed25519_from_bytes([7; 32]).unwrap();
        let (certificate, _) = certificate(&key).unwrap();
        assert_eq!(peer_of(&certificate).unwrap(), key.public().to_peer_id());
        // The algorithm's name, the second time: nobody signs it, and its tags are not looked at.
        let signed = 4 + parse(&certificate).unwrap().tbs_certificate.as_ref().len();
        let unsigned = signed..signed + 4;
        for at in (0..certificate.len()).filter(|at| !unsigned.contains(at)) {
            let mut changed = certificate.to_vec();
            changed[at] ^= 1;
            assert!(peer_of(&changed.into()).is_err(), "byte {at} of {}", certificate.len());
            assert!(peer_of(&certificate[..at].to_vec().into()).is_err(), "cut at {at}");
        }
        assert!(peer_of(&[&certificate[..], &[0]].concat().into()).is_err());
    }

    /// The node's key vouches for one certificate's key only.
    #[test]
    fn what_vouches_for_another_certificate_is_refused() {
        let key = Keypair::ed25519_from_bytes([7; 32]).unwrap();
        let (one, _) = certificate(&key).unwrap();
        let one = parse(&one).unwrap();
        let stolen = one.extensions().iter().find(|extension| extension.critical).unwrap().value.to_vec();
        let secret = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let mut parts = rcgen::CertificateParams::default();
        parts.custom_extensions.push(rcgen::CustomExtension::from_oid_content(&EXTENSION, stolen));
        assert!(peer_of(parts.self_signed(&secret).unwrap().der()).is_err());
        // And one without.
        let plain = rcgen::CertificateParams::default().self_signed(&secret).unwrap();
        assert!(peer_of(plain.der()).is_err());
    }
}
