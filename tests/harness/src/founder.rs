//! A founder as a page has one, but for its settler: nothing is settled unless a line on stdin says so, and then perhaps
//! wrongly. Engine and network are the real ones; the store is memory.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use futures::future::LocalBoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use ledgerno_engine::store::Item;
use ledgerno_engine::wire::{Answer, Ask, No, REGISTER, Register, Topic, Votes, circle_of};
use ledgerno_engine::{Engine, Event, Keyring, Limits, Output, Random, Seat, join};
use ledgerno_ledger::bytes::{CircleId, DeviceId};
use ledgerno_ledger::codec;
use ledgerno_ledger::entry::Signed;
use ledgerno_ledger::invite::RelayAddress;
use ledgerno_ledger::keys::{DeviceKey, Identity};
use ledgerno_ledger::settle::Proof;
use ledgerno_minnet::{self as minnet, Net, Peer, Responder};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::say;
use crate::witness::{Lie, Witness};

#[derive(clap::Args)]
pub struct Options {
    /// The relay's WebSocket, ws://HOST:PORT/.
    #[arg(long)]
    relay: String,
    /// The relay's peer in hexadecimal.
    #[arg(long)]
    peer: String,
    /// The owner's token. One of 64 begins with a hyphen.
    #[arg(long, allow_hyphen_values = true)]
    token: String,
    /// The circle's name.
    #[arg(long, default_value = "Circle of a liar")]
    name: String,
}

const WEEK_MS: u64 = 7 * 24 * 3_600_000;
const TOPICS: [Topic; 2] = [Topic::Entries, Topic::Votes];

struct Founder {
    net: Net,
    relay: RelayAddress,
    circle: CircleId,
    engine: Engine,
    witness: Witness,
    key: DeviceKey,
    log: Vec<Vec<u8>>,
    topics: HashMap<[u8; 32], Topic>,
    replies: BTreeMap<u64, Responder>,
    next_reply: u64,
    answers: FuturesUnordered<LocalBoxFuture<'static, (u64, Option<Answer>)>>,
    invite: String,
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

fn secret() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).context("no randomness")?;
    Ok(bytes)
}

/// Founds, prints the invite, and obeys until stdin ends.
pub async fn run(options: Options) -> Result<()> {
    let peer = data_encoding::HEXLOWER.decode(options.peer.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
    let relay = RelayAddress { url: options.relay, peer: DeviceId(peer.context("--peer is 64 hexadecimal digits")?) };
    let device = secret()?;
    let config = minnet::Config::new(device, "ledgerno-harness");
    let (net, mut events, network) = minnet::start(config)?;
    tokio::spawn(network);
    net.dial(&relay.url, Peer(relay.peer.0))?;
    loop {
        match events.next().await.context("the network ended")? {
            minnet::Event::Connected { .. } => break,
            minnet::Event::DialFailed { reason, .. } => bail!("the relay: {reason}"),
            _ => {}
        }
    }
    let mut founder = Founder::found(net, relay, &options.name, &options.token, device).await?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        founder.pump();
        let due = founder.engine.due().map(|due| Duration::from_millis(due.saturating_sub(now())));
        tokio::select! {
            event = events.next() => founder.heard(event.context("the network ended")?),
            Some((no, answer)) = founder.answers.next() => founder.engine.answered(no, answer, now()),
            () = tokio::time::sleep(due.unwrap_or(Duration::MAX)) => founder.engine.tick(now()),
            line = lines.next_line() => match line? {
                Some(line) => match founder.obey(&line) {
                    Ok(()) => say(&format!("done: {line}")),
                    Err(error) => say(&format!("failed: {line}: {error:#}")),
                },
                None => return Ok(()),
            },
        }
    }
}

impl Founder {
    async fn found(net: Net, relay: RelayAddress, name: &str, token: &str, device: [u8; 32]) -> Result<Self> {
        let (identity, key) = (Identity::from_secret(secret()?), DeviceKey::from_secret(device));
        let founding = join::found(name, &identity, &key, &mut Random::new(secret()?), now())?;
        let genesis = founding.genesis;
        let circle = genesis.id();
        let register = Register { token: token.to_owned(), genesis: genesis.encode() };
        let answer = net.request(Peer(relay.peer.0), REGISTER, codec::encode(&register).into()).await?;
        if Answer::from_bytes(&answer)? != Answer::Kept {
            bail!("the relay does not keep the circle");
        }
        let keyring = Keyring::new(circle, founding.keys);
        let witness =
            Witness { genesis: genesis.clone(), keyring: keyring.clone(), device: key.id(), vote: founding.vote };
        // Without a vote the engine settles nothing by itself.
        let seat = Seat::Member { device: key, identity, keyring, vote: None };
        let (log, records) = (Vec::<Vec<u8>>::new(), Vec::<(String, Vec<u8>)>::new());
        let mut engine = Engine::open(genesis, seat, Limits::default(), log, records, secret()?)?;
        engine.set_keepers(vec![relay.peer]);
        engine.present(None)?;
        engine.enter(Some("Liar"), now())?;
        let (invitation, _) = engine.invite(10, now() + WEEK_MS, vec![relay.clone()], now())?;
        engine.connected(relay.peer, now());
        let mut topics = HashMap::new();
        for topic in TOPICS {
            topics.insert(topic.id(circle), topic);
            net.subscribe(minnet::Topic(topic.id(circle)))?;
        }
        let page = relay.url.replacen("ws", "http", 1);
        let invite = format!("{}/#/join/{}", page.trim_end_matches('/'), invitation.token);
        Ok(Founder {
            net,
            relay,
            circle,
            engine,
            witness,
            key: DeviceKey::from_secret(device),
            log: Vec::new(),
            topics,
            replies: BTreeMap::new(),
            next_reply: 0,
            answers: FuturesUnordered::new(),
            invite,
        })
    }

    fn obey(&mut self, line: &str) -> Result<()> {
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        match command {
            "post" => drop(self.engine.post(rest, now())?),
            "posts" => {
                for number in 0..rest.parse()? {
                    self.engine.post(&format!("post {number}."), now())?;
                }
            }
            "settle" => {
                let proof = self.witness.next(&self.log, Lie::None, now())?;
                self.engine.gossip(
                    Topic::Votes,
                    self.relay.peer,
                    &Votes::Proof(Box::new(proof.clone())).to_bytes(),
                    now(),
                );
                self.publish(&proof)?;
                self.engine.sync(self.relay.peer, now());
            }
            "lie" => {
                let proof = self.witness.next(&self.log, rest.parse()?, now())?;
                self.publish(&proof)?;
            }
            "fork" => self.fork()?,
            other => bail!("no such command: {other}"),
        }
        self.pump();
        Ok(())
    }

    /// Signs the newest own entry once more with another time, and tells the others of that.
    fn fork(&self) -> Result<()> {
        let own = |bytes: &Vec<u8>| match Item::from_bytes(bytes) {
            Ok(Item::Entry(packed)) if packed.signed.entry.device == self.key.id() => Some(packed),
            _ => None,
        };
        let mut twin = self.log.iter().rev().find_map(own).context("nothing is written")?;
        let mut entry = twin.signed.entry.clone();
        entry.time += 1;
        twin.signed = Signed::sign(entry, self.circle, &self.key);
        Ok(self.net.publish(&minnet::Topic(Topic::Entries.id(self.circle)), codec::encode(&twin).into())?)
    }

    fn publish(&self, proof: &Proof) -> Result<()> {
        Ok(self.net.publish(
            &minnet::Topic(Topic::Votes.id(self.circle)),
            Votes::Proof(Box::new(proof.clone())).to_bytes().into(),
        )?)
    }

    fn pump(&mut self) {
        while let Some(output) = self.engine.output() {
            match output {
                Output::Write { no, log, .. } => {
                    self.log.extend(log);
                    self.engine.written(no, now());
                }
                Output::Replace { no, .. } => self.engine.written(no, now()),
                Output::Read { no, items } => {
                    let read = items.iter().filter_map(|item| self.log.get(usize::try_from(*item).ok()?).cloned());
                    self.engine.read(no, &read.collect::<Vec<_>>(), now());
                }
                Output::Publish { topic, bytes } => {
                    if let Err(error) = self.net.publish(&minnet::Topic(topic.id(self.circle)), bytes.into()) {
                        say(&format!("not gossiped: {error}"));
                    }
                }
                Output::Ask { to, no, ask } => {
                    let (net, bytes) = (self.net.clone(), ask.to_bytes(self.circle));
                    let asked = async move {
                        let answer = net.request(Peer(to.0), ask.kind(), bytes.into()).await;
                        (no, answer.ok().and_then(|bytes| Answer::from_bytes(&bytes).ok()))
                    };
                    self.answers.push(asked.boxed_local());
                }
                Output::Answer { no, answer } => {
                    if let Some(reply) = self.replies.remove(&no) {
                        reply.send(answer.to_bytes().into());
                    }
                }
                Output::Event(Event::ParcelKept(_)) => say(&format!("invite: {}", self.invite)),
                Output::Event(_) => {}
            }
        }
    }

    fn heard(&mut self, event: minnet::Event) {
        match event {
            minnet::Event::Connected { peer, .. } => self.engine.connected(DeviceId(peer.0), now()),
            minnet::Event::Disconnected { peer } => self.engine.disconnected(DeviceId(peer.0)),
            minnet::Event::Subscribed { peer, .. } => self.engine.sync(DeviceId(peer.0), now()),
            minnet::Event::Message { topic, from, bytes } => {
                if let Some(topic) = self.topics.get(&topic.0) {
                    self.engine.gossip(*topic, DeviceId(from.0), &bytes, now());
                }
            }
            minnet::Event::Request { peer, kind, bytes, reply } => {
                let question = circle_of(&bytes).and_then(|(_, question)| Ask::from_bytes(kind, question).ok());
                let Some(ask) = question else { return reply.send(Answer::No(No::Malformed).to_bytes().into()) };
                self.next_reply += 1;
                self.replies.insert(self.next_reply, reply);
                self.engine.asked(DeviceId(peer.0), self.next_reply, ask, now());
            }
            _ => {}
        }
    }
}
