//! What peers say before anybody knows what it means: frames of data channels, signalling, messages, circuits, requests.

use crate::Target;
use ledgerno_minnet::hostile;

/// Each with seeds from which mutations find their way.
pub fn targets() -> Vec<Target> {
    // Lengths as the doors cut: a byte that counts fours or eights, then so many bytes.
    let cut = |unit: usize, parts: &[&[u8]]| -> Vec<u8> {
        let cut = |part: &&[u8]| {
            let mut cut = part.to_vec();
            cut.resize(part.len().next_multiple_of(unit), 0);
            [&[(cut.len() / unit) as u8][..], &cut].concat()
        };
        parts.iter().flat_map(cut).collect()
    };
    let topic = "07".repeat(32);
    let subscribe = [&[0x0a, 0x44, 0x08, 0x01, 0x12, 0x40][..], topic.as_bytes()].concat();
    let message =
        [&[0x12, 0x4a, 0x12, 0x06, b'a', b' ', b'w', b'o', b'r', b'd', 0x22, 0x40][..], topic.as_bytes()].concat();
    let graft = [&[0x1a, 0x44, 0x1a, 0x42, 0x0a, 0x40][..], topic.as_bytes()].concat();
    let have = [&[0x1a, 0x5a, 0x0a, 0x58, 0x0a, 0x40][..], topic.as_bytes(), &[0x12, 0x14], &[9; 20]].concat();
    let want = [&[0x1a, 0x18, 0x12, 0x16, 0x0a, 0x14][..], &[9; 20]].concat();
    let offer = [&[0x0a, 0x08, 0x00, 0x12, 0x06][..], b"v=0 a ", &[0x04, 0x08, 0x02, 0x12, 0x00]].concat();
    let target = |name: &str, seeds: Vec<Vec<u8>>, body: fn(&[u8])| Target {
        name: name.to_owned(),
        seeds,
        cost: 1,
        body: Box::new(body),
    };
    vec![
        target("net_gossip", vec![cut(4, &[&subscribe, &graft, &message, &have, &want])], hostile::gossip),
        target("net_circuit", hostile::circuit_seeds(), hostile::circuit),
        target("net_kad", hostile::kad_seeds(), hostile::kad),
        target("net_rendezvous", hostile::rendezvous_seeds(), hostile::rendezvous),
        target("net_request", vec![vec![1, 2, 3, 4], vec![0x80, 0x01, 0]], hostile::request),
        target(
            "webrtc_stream",
            // Data; FIN and FIN_ACK. A field that nobody knows makes eights of them.
            vec![cut(8, &[&[7, 0x12, 3, 1, 2, 3, 0x50, 0], &[2, 0x08, 0, 4, 0x08, 3, 0x50, 0]])],
            ledgerno_webrtc::hostile::stream,
        ),
        target(
            "webrtc_signalling",
            vec![[&[1][..], &cut(8, &[&offer])].concat()],
            ledgerno_webrtc::hostile::signalling,
        ),
    ]
}
