//! The browser's peer connections.
//!
//! Each belongs, with its channels and their handlers, to a task of its own, for JavaScript's objects must not leave their
//! thread while libp2p's futures must be `Send`. Handlers only tell the link what happened; the task alone closes things:
//! handlers are taken off first, so that none is called after its closure is gone.

use std::{cell::Cell, cell::RefCell, rc::Rc};

use js_sys::{Array, Function, JSON, Object, Promise, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue, closure::Closure, prelude::wasm_bindgen};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    MessageEvent, RtcConfiguration, RtcDataChannel, RtcDataChannelEvent, RtcDataChannelState, RtcDataChannelType,
    RtcIceCandidateInit, RtcPeerConnection, RtcPeerConnectionIceEvent, RtcPeerConnectionState, RtcSdpType,
    RtcSessionDescriptionInit,
};

use crate::backend::{Backend, Command, Commands, Event, Events, Failure, MAX_MESSAGE};
use crate::config::IceServer;

/// What the offer's side opens so that the description speaks of data at all.
const INIT: &str = "init";
/// With less than this unsent of a channel, it is reported how much has left.
const LOW: u32 = 512 * 1024;

/// The browser that runs this. It has no peer connections in workers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Browser;

impl Backend for Browser {
    fn open(&self, ice_servers: &[IceServer], commands: Commands, events: Events) {
        ledgerno_tasks::spawn(run(ice_servers.to_vec(), commands, events));
    }
}

async fn run(ice_servers: Vec<IceServer>, mut commands: Commands, events: Events) {
    let Ok(peer) = Peer::open(&ice_servers, events.clone()) else {
        return events.send(Event::Failed(Failure::Refused));
    };
    while let Some(command) = commands.next().await {
        let mut waits = peer.obey(command);
        // In this one place, which keeps the module small.
        while let Some((promise, after)) = waits {
            match peer.go_on(after, JsFuture::from(promise).await) {
                Ok(next) => waits = next,
                Err(failure) => return events.send(Event::Failed(failure)),
            }
        }
    }
}

/// What was asked of the browser and is being waited for.
enum After {
    /// To make an offer or an answer.
    Made,
    /// To take it as the own description.
    Described,
    /// To take the other side's offer.
    HeardOffer,
    /// To take its answer.
    HeardAnswer,
    /// To take a candidate.
    Candidate,
}

#[wasm_bindgen]
extern "C" {
    /// A peer connection whose channels may be used up: web-sys lets that be thrown through Rust.
    type Opener;
    #[wasm_bindgen(method, catch, js_name = createDataChannel)]
    fn create_data_channel(this: &Opener, label: &str) -> Result<RtcDataChannel, JsValue>;
}

type Waits = Option<(Promise, After)>;

type Handler = Closure<dyn FnMut(web_sys::Event)>;
type Hearer = Closure<dyn FnMut(MessageEvent)>;
type Channels = Rc<RefCell<Vec<Channel>>>;

/// A peer connection and its handlers.
struct Peer {
    connection: RtcPeerConnection,
    events: Events,
    channels: Channels,
    handler: Handler,
}

impl Peer {
    fn open(ice_servers: &[IceServer], events: Events) -> Result<Self, JsValue> {
        let connection = match ice_servers {
            [] => RtcPeerConnection::new()?,
            servers => RtcPeerConnection::new_with_configuration(&configuration(servers)?)?,
        };
        let channels = Channels::default();
        let (connection_, channels_, events_) = (connection.clone(), Rc::clone(&channels), events.clone());
        let handler = Handler::new(move |event: web_sys::Event| match &*event.type_() {
            "icecandidate" => {
                let candidate = event.unchecked_ref::<RtcPeerConnectionIceEvent>().candidate();
                let json = candidate.and_then(|candidate| JSON::stringify(&candidate).ok());
                events_.send(Event::Candidate(json.map(String::from)));
            }
            "datachannel" => incoming(&channels_, &events_, event.unchecked_ref::<RtcDataChannelEvent>().channel()),
            // "connectionstatechange", and "statechange" of what carries the channels: that one knows at once that the
            // other side has closed.
            _ => match connection_.connection_state() {
                RtcPeerConnectionState::Failed => events_.send(Event::Failed(Failure::Lost)),
                RtcPeerConnectionState::Closed => events_.send(Event::Failed(Failure::Closed)),
                _ if sctp_state(&connection_).as_deref() == Some("closed") => {
                    events_.send(Event::Failed(Failure::Closed));
                }
                RtcPeerConnectionState::Connected => {
                    events_.send(Event::Connected);
                }
                _ => {}
            },
        });
        let peer = Peer { connection, events, channels, handler };
        peer.listen(Some(peer.handler.as_ref().unchecked_ref()));
        Ok(peer)
    }

    fn listen(&self, handler: Option<&Function>) {
        self.connection.set_onicecandidate(handler);
        self.connection.set_ondatachannel(handler);
        self.connection.set_onconnectionstatechange(handler);
    }

    fn open_channel(&self, label: &str) -> Result<RtcDataChannel, JsValue> {
        self.connection.unchecked_ref::<Opener>().create_data_channel(label)
    }

    /// There is one from the first description that both sides know; web-sys does not know it.
    fn listen_to_sctp(&self, handler: &JsValue) {
        let set = |sctp| Reflect::set(&sctp, &"onstatechange".into(), handler);
        if let Some(Err(_)) = sctp(&self.connection).map(set) {
            tracing::debug!("the browser's SCTP transport takes no handler");
        }
    }

    /// Begins what is asked for.
    fn obey(&self, command: Command) -> Waits {
        let connection = &self.connection;
        match command {
            Command::Offer => {
                // Without it the offer speaks of no data, and comes to nothing.
                if let Ok(init) = self.open_channel(INIT) {
                    self.channels.borrow_mut().push(Channel::attach(None, init, self.events.clone()));
                }
                return Some((connection.create_offer(), After::Made));
            }
            Command::Answer(sdp) => return Some((self.take(RtcSdpType::Offer, &sdp), After::HeardOffer)),
            Command::TakeAnswer(sdp) => return Some((self.take(RtcSdpType::Answer, &sdp), After::HeardAnswer)),
            Command::AddCandidate(json) => {
                let candidate = JSON::parse(&json).ok()?;
                let candidate = candidate.unchecked_ref::<RtcIceCandidateInit>();
                let added = connection.add_ice_candidate_with_opt_rtc_ice_candidate_init(Some(candidate));
                return Some((added, After::Candidate));
            }
            Command::OpenChannel(id) => match self.open_channel("") {
                Ok(channel) => {
                    self.channels.borrow_mut().push(Channel::attach(Some(id), channel, self.events.clone()));
                }
                Err(_) => self.events.send(Event::Closed(id)),
            },
            Command::Send(id, message) => {
                let channels = self.channels.borrow();
                let told = channels.iter().find(|channel| channel.id == Some(id))?.send(&message);
                drop(channels);
                self.events.send(told?);
            }
            Command::CloseChannel(id) => self.channels.borrow_mut().retain(|channel| channel.id != Some(id)),
        }
        None
    }

    /// Goes on with what the browser has done.
    fn go_on(&self, after: After, result: Result<JsValue, JsValue>) -> Result<Waits, Failure> {
        match after {
            After::Made => {
                let description = result.map_err(|_| Failure::Refused)?;
                let sdp = Reflect::get(&description, &"sdp".into()).ok().and_then(|sdp| sdp.as_string());
                // Told before the candidates that follow from it.
                self.events.send(Event::Description(sdp.ok_or(Failure::Refused)?));
                let set = self.connection.set_local_description(description.unchecked_ref());
                return Ok(Some((set, After::Described)));
            }
            After::Described => {
                result.map_err(|_| Failure::Refused)?;
                self.listen_to_sctp(self.handler.as_ref());
            }
            After::HeardOffer => {
                result.map_err(|_| Failure::Description)?;
                return Ok(Some((self.connection.create_answer(), After::Made)));
            }
            After::HeardAnswer => {
                result.map_err(|_| Failure::Description)?;
                self.listen_to_sctp(self.handler.as_ref());
            }
            // One that it does not take is no loss.
            After::Candidate => {}
        }
        Ok(None)
    }

    fn take(&self, kind: RtcSdpType, sdp: &str) -> Promise {
        let description = RtcSessionDescriptionInit::new(kind);
        description.set_sdp(sdp);
        self.connection.set_remote_description(&description)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.listen(None);
        self.listen_to_sctp(&JsValue::NULL);
        self.channels.borrow_mut().clear();
        self.connection.close();
    }
}

/// What carries the channels.
fn sctp(connection: &RtcPeerConnection) -> Option<JsValue> {
    Reflect::get(connection, &"sctp".into()).ok().filter(JsValue::is_object)
}

fn sctp_state(connection: &RtcPeerConnection) -> Option<String> {
    Reflect::get(&sctp(connection)?, &"state".into()).ok()?.as_string()
}

fn configuration(servers: &[IceServer]) -> Result<RtcConfiguration, JsValue> {
    let list = Array::new();
    for server in servers {
        let urls: Array = server.urls.iter().map(JsValue::from).collect();
        let entry = Object::new();
        Reflect::set(&entry, &"urls".into(), &urls)?;
        if let Some((username, credential)) = &server.login {
            Reflect::set(&entry, &"username".into(), &username.into())?;
            Reflect::set(&entry, &"credential".into(), &credential.into())?;
        }
        list.push(&entry);
    }
    let configuration = RtcConfiguration::new();
    configuration.set_ice_servers(&list);
    Ok(configuration)
}

fn incoming(channels: &Channels, events: &Events, channel: RtcDataChannel) {
    // Its opener closes it.
    if channel.label() == INIT {
        return;
    }
    match events.incoming() {
        Some(id) => {
            let open = channel.ready_state() == RtcDataChannelState::Open;
            channels.borrow_mut().push(Channel::attach(Some(id), channel, events.clone()));
            if open {
                events.send(Event::Open(id));
            }
        }
        None => channel.close(),
    }
}

/// A data channel and its handler.
struct Channel {
    /// None for [`INIT`].
    id: Option<u32>,
    channel: RtcDataChannel,
    /// Bytes given to the browser.
    given: Rc<Cell<u64>>,
    handler: Handler,
    /// Of its own, for most of what happens is a message, and an event's name is copied to be read.
    hearer: Hearer,
}

impl Channel {
    fn attach(id: Option<u32>, channel: RtcDataChannel, events: Events) -> Self {
        let given = Rc::new(Cell::new(0));
        let (channel_, given_, events_) = (channel.clone(), Rc::clone(&given), events.clone());
        let handler = Handler::new(move |event: web_sys::Event| {
            let Some(id) = id else { return channel_.close() };
            let told = match &*event.type_() {
                "open" => Event::Open(id),
                "close" => Event::Closed(id),
                // "bufferedamountlow"
                _ => left(id, &channel_, given_.get()),
            };
            events_.send(told);
            ledgerno_tasks::now();
        });
        let hearer = Hearer::new(move |event: MessageEvent| {
            let Some(id) = id else { return };
            events.send(message(&event).map_or(Event::Closed(id), |message| Event::Message(id, message)));
            ledgerno_tasks::now();
        });
        channel.set_binary_type(RtcDataChannelType::Arraybuffer);
        channel.set_buffered_amount_low_threshold(LOW);
        let channel = Channel { id, channel, given, handler, hearer };
        channel.listen(Some(channel.handler.as_ref().unchecked_ref()), Some(channel.hearer.as_ref().unchecked_ref()));
        channel
    }

    fn listen(&self, handler: Option<&Function>, hearer: Option<&Function>) {
        self.channel.set_onopen(handler);
        if self.id.is_some() {
            self.channel.set_onmessage(hearer);
            self.channel.set_onclose(handler);
            self.channel.set_onbufferedamountlow(handler);
        }
    }

    /// Sends; gives what there is to tell of it.
    fn send(&self, message: &[u8]) -> Option<Event> {
        let id = self.id?;
        if self.channel.send_with_u8_array(message).is_err() {
            return Some(Event::Closed(id));
        }
        self.given.set(self.given.get() + message.len() as u64);
        (self.channel.buffered_amount() <= LOW).then(|| left(id, &self.channel, self.given.get()))
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.listen(None, None);
        self.channel.close();
    }
}

/// How much has left the browser's buffer.
fn left(id: u32, channel: &RtcDataChannel, given: u64) -> Event {
    Event::Sent(id, given.saturating_sub(u64::from(channel.buffered_amount())))
}

/// `None`: a text, or too long.
fn message(event: &MessageEvent) -> Option<Vec<u8>> {
    let data = event.data();
    // What is no text is a buffer, and of a text the browser would make an array as long as it says.
    if data.is_string() {
        return None;
    }
    let bytes = Uint8Array::new(&data);
    let len = bytes.length() as usize;
    if len > MAX_MESSAGE {
        return None;
    }
    let mut message = vec![0; len];
    bytes.copy_to(&mut message);
    Some(message)
}
