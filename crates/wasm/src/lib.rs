//! The node for JavaScript: what the npm package `ledgerno` wraps. Every method throws, or rejects with,
//! `{code, facts}`.

#![cfg(target_arch = "wasm32")]
#![deny(missing_docs)]

mod ledger;
mod view;

use crate::view::{Thrown, circle_of, device_of, member_of};
use js_sys::{Array, Function, Promise, Reflect};
use ledgerno_ledger::genesis::Kind;
use ledgerno_ledger::invite::RelayAddress;
use ledgerno_ledger::keys::Identity;
use ledgerno_node::store::idb::IndexedDb as Idb;
use ledgerno_node::{IceServer, Limits, Node, NodeError, Settings};
use std::pin::Pin;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

/// The browser's database.
const DATABASE: &str = "ledgerno";
const AGENT: &str = concat!("ledgerno-web/", env!("CARGO_PKG_VERSION"));

const DAY_MS: f64 = 86_400_000.0;

/// A node in a page.
#[wasm_bindgen]
pub struct WasmNode {
    node: Node<Idb>,
    home: Option<RelayAddress>,
    page: Rc<str>,
}

#[wasm_bindgen]
impl WasmNode {
    /// Opens this profile's node. `options`: `{relay?, page, retention?, joinFrom?, iceServers, onChange, onProgress}`; `retention`
    /// is in days.
    ///
    /// Rejects when the browser gives no storage, or what it holds is damaged.
    pub fn open(options: JsValue) -> Promise {
        promise(async move { Ok(WasmNode::of(&options).await?.into()) })
    }

    /// The circles: `{id, name}` each.
    pub fn circles(&self) -> Array {
        self.node.circles().into_iter().map(|(id, name)| view::circle_info(id, &name)).collect()
    }

    /// Founds a circle by the relay's owner's token, readable by anyone or by its members alone; resolves with its id.
    #[wasm_bindgen(js_name = startCircle)]
    pub fn start_circle(&self, name: String, own_name: String, token: String, readable: bool) -> Promise {
        let (node, home) = (self.node.clone(), self.home.clone());
        promise(async move {
            let home = home.ok_or(NodeError::Unreachable { url: String::new() })?;
            let kind = if readable { Kind::Readable } else { Kind::Private };
            let circle = node.found_as(kind, &name, &own_name, &token, home).await?;
            Ok(circle.to_string().into())
        })
    }

    /// What an invite leads to.
    pub fn preview(&self, token: String) -> Promise {
        let node = self.node.clone();
        promise(async move { Ok(view::preview(&node.preview(&token).await?)) })
    }

    /// Joins by an invite; resolves with the circle's id.
    pub fn join(&self, token: String, own_name: String) -> Promise {
        let node = self.node.clone();
        promise(async move { Ok(node.join(&token, &own_name).await?.to_string().into()) })
    }

    /// A circle as it is shown.
    ///
    /// # Errors
    /// When there is none.
    pub fn circle(&self, id: &str) -> Result<JsValue, JsValue> {
        Ok(circle_of(id).map_err(Thrown::from).and_then(|id| view::circle(&self.node, id, &self.page))?)
    }

    /// The newest entries, newest last; `onChange` follows when older ones had to be read.
    ///
    /// # Errors
    /// When there is no such circle.
    pub fn timeline(&self, id: &str, limit: usize) -> Result<Array, JsValue> {
        let shown = circle_of(id).and_then(|id| self.node.timeline(id, limit)).map_err(Thrown::from)?;
        Ok(shown.iter().map(view::entry).collect())
    }

    /// Posts; resolves with the entry's id once it is durable here.
    pub fn post(&self, id: String, text: String) -> Promise {
        let node = self.node.clone();
        promise(async move { Ok(node.post(circle_of(&id)?, &text).await?.to_string().into()) })
    }

    /// Thanks a member with points.
    pub fn thank(&self, id: String, to: String, amount: f64, reason: String) -> Promise {
        let node = self.node.clone();
        promise(async move {
            // A fraction, a negative or an unsafe number is no amount: 0 is refused as one.
            let whole = amount.fract() == 0.0 && (1.0..=9_007_199_254_740_991.0).contains(&amount);
            let amount = if whole { amount as u64 } else { 0 };
            Ok(node.thank(circle_of(&id)?, member_of(&to)?, amount, &reason).await?.to_string().into())
        })
    }

    /// What a proof file is made from, by the names in [`ledger::proof`].
    ///
    /// # Errors
    /// When there is no such circle, or it proves nothing of that.
    pub fn proof(&self, id: &str, what: &str, about: &str) -> Result<js_sys::Uint8Array, JsValue> {
        Ok(circle_of(id).map_err(Thrown::from).and_then(|id| ledger::proof(&self.node, id, what, about))?)
    }

    /// What the settled state says, by the names in [`ledger::ask`].
    ///
    /// # Errors
    /// When there is no such circle, or nothing of that name in it.
    pub fn ask(&self, id: &str, what: &str, about: &str) -> Result<JsValue, JsValue> {
        Ok(circle_of(id).map_err(Thrown::from).and_then(|id| ledger::ask(&self.node, id, what, about))?)
    }

    /// Writes what [`ledger::act`] names; resolves with the entry's id once it is durable here.
    pub fn act(&self, id: String, what: String, about: String, note: String) -> Promise {
        let node = self.node.clone();
        promise(async move {
            let write = |engine: &mut _, now| ledger::act(engine, &what, &about, &note, now);
            Ok(node.act(circle_of(&id)?, write).await?.to_string().into())
        })
    }

    /// By its owner's token, has the circle's relay offer itself as a witness, or forget the keys that it got for it.
    pub fn enlist(&self, id: String, token: String, votes: bool) -> Promise {
        let node = self.node.clone();
        promise(async move {
            let circle = circle_of(&id)?;
            if votes {
                node.enlist(circle, &token).await?
            } else {
                node.dismiss(circle, &token).await?
            }
            Ok(JsValue::UNDEFINED)
        })
    }

    /// Gives an invite.
    pub fn invite(&self, id: String, uses: u32, days: u32) -> Promise {
        let (node, page) = (self.node.clone(), Rc::clone(&self.page));
        promise(async move { Ok(view::invite(&node.invite(circle_of(&id)?, uses, days).await?, 0, &page)) })
    }

    /// The identity's 32 secret bytes. The list of words is the other module's.
    pub fn secret(&self) -> Vec<u8> {
        self.node.identity().secret().to_vec()
    }

    /// Becomes the person of 32 secret bytes; resolves with the circles' ids.
    pub fn restore(&self, secret: Vec<u8>) -> Promise {
        let (node, home) = (self.node.clone(), self.home.clone());
        promise(async move {
            let home = home.ok_or(NodeError::Unreachable { url: String::new() })?;
            let secret = secret.try_into().map_err(|_| NodeError::Nonsense)?;
            let circles = node.return_as(Identity::from_secret(secret), home).await?;
            Ok(circles.iter().map(|circle| JsValue::from(circle.to_string())).collect::<Array>().into())
        })
    }

    /// The identity's file.
    #[wasm_bindgen(js_name = exportIdentity)]
    pub fn export_identity(&self) -> Promise {
        let node = self.node.clone();
        promise(async move { Ok(node.export_identity().into()) })
    }

    /// Becomes the person of an identity's file.
    #[wasm_bindgen(js_name = importIdentity)]
    pub fn import_identity(&self, text: String) -> Promise {
        let node = self.node.clone();
        promise(async move {
            node.import_identity(&text).await?;
            Ok(JsValue::UNDEFINED)
        })
    }

    /// The page woke up or is online again: links are looked after at once.
    #[wasm_bindgen(js_name = wake)]
    pub fn wake(&self) {
        self.node.hurry();
    }

    /// Ends the node once what was written is durable.
    pub fn close(&self) -> Promise {
        let node = self.node.clone();
        promise(async move {
            node.close().await;
            Ok(JsValue::UNDEFINED)
        })
    }
}

impl WasmNode {
    async fn of(options: &JsValue) -> Result<WasmNode, NodeError> {
        let field = |name: &str| Reflect::get(options, &name.into()).unwrap_or(JsValue::UNDEFINED);
        let on_change: Function = field("onChange").unchecked_into();
        let on_progress: Function = field("onProgress").unchecked_into();
        let page = field("page").as_string().unwrap_or_default();
        let relay = relay_of(&field("relay"))?;
        let public = Reflect::get(&field("relay"), &"publicUrl".into()).ok().and_then(|url| url.as_string());
        let number = |name| field(name).as_f64().filter(|number| *number >= 0.0);
        let mut limits = Limits::default();
        limits.retention = number("retention").map(|days| (days * DAY_MS) as u64);
        limits.join_from = number("joinFrom").map_or(limits.join_from, |heights| heights as u64);
        let ice_servers = Array::from(&field("iceServers")).iter().filter_map(|text| ice_server(&text)).collect();
        progress(&on_progress, "store");
        let store = Idb::open(DATABASE).await?;
        let listener = move || {
            // A listener that throws is the page's mistake; the node goes on.
            if let Err(error) = on_change.call1(&JsValue::NULL, &"all".into()) {
                web_sys::console::error_1(&error);
            }
        };
        let opened =
            Node::member_within(store, AGENT, relay.clone(), Settings { limits, ice_servers }, Box::new(listener))
                .await;
        let node = opened?;
        progress(&on_progress, "connect");
        // Invites carry the public address, which need not be the one that this page came by.
        let home = relay.map(|relay| RelayAddress { url: public.unwrap_or(relay.url), peer: relay.peer });
        Ok(WasmNode { node, home, page: page.into() })
    }
}

/// Boxed, so that the glue is there once and not for each of the methods.
fn promise(work: impl Future<Output = Result<JsValue, NodeError>> + 'static) -> Promise {
    boxed(Box::pin(work))
}

fn boxed(work: Pin<Box<dyn Future<Output = Result<JsValue, NodeError>>>>) -> Promise {
    let mut work = Some(work);
    Promise::new(&mut |resolve, reject| {
        let Some(work) = work.take() else { return };
        ledgerno_tasks::spawn(async move {
            let told = match work.await {
                Ok(value) => resolve.call1(&JsValue::NULL, &value),
                Err(error) => reject.call1(&JsValue::NULL, &Thrown::from(error).into()),
            };
            // A promise's own functions throw nothing.
            told.ok();
        });
    })
}

fn progress(listener: &Function, step: &str) {
    if let Err(error) = listener.call1(&JsValue::NULL, &step.into()) {
        web_sys::console::error_1(&error);
    }
}

/// A STUN or TURN server from `URL` or `URL NAME PASSWORD`. A TURN server without a login is none: the browser would refuse
/// all others for it.
fn ice_server(text: &JsValue) -> Option<IceServer> {
    let text = text.as_string()?;
    let mut parts = text.split(' ').map(str::to_owned);
    let url = parts.next()?;
    let login = parts.next().zip(parts.next());
    (login.is_some() || !url.starts_with("turn")).then(|| IceServer { urls: vec![url], login })
}

/// A relay from `{url, peer}`; none if the page names none.
fn relay_of(value: &JsValue) -> Result<Option<RelayAddress>, NodeError> {
    let field = |name: &str| Reflect::get(value, &name.into()).ok().and_then(|value| value.as_string());
    match (field("url"), field("peer")) {
        (Some(url), Some(peer)) => Ok(Some(RelayAddress { url, peer: device_of(&peer)? })),
        _ => Ok(None),
    }
}
