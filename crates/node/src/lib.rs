//! The driver of a node: engine, network and store together, in a page or in a relay.
//!
//! [`Node`] is the handle: [`Node::member`] opens a person's node, [`Node::keeper`] a relay's. It lives on one thread and
//! spawns its tasks there (natively inside a `tokio::task::LocalSet`).

#[cfg(any(test, feature = "cases"))]
pub mod conformance;
mod driver;
mod enlist;
mod error;
#[cfg(not(target_arch = "wasm32"))]
mod keeper;
mod keybox;
mod links;
mod member;
mod portable;
mod presence;
mod profile;
pub mod rt;
pub mod store;
mod view;

pub use driver::Node;
pub use error::{NodeError, store_code};
#[cfg(not(target_arch = "wasm32"))]
pub use keeper::KeeperConfig;
/// What an engine may hold, and what it lets go.
pub use ledgerno_engine::Limits;
/// The version of the protocol between nodes.
pub use ledgerno_minnet::VERSION as PROTOCOL;
pub use ledgerno_minnet::{DEFAULT_STUN, IceServer, Why};
#[cfg(not(target_arch = "wasm32"))]
pub use ledgerno_minnet::{Listen, UrlError, check_url};
pub use links::{LinkState, Path, Tried, Up};
pub use member::{INVITE_DAYS, INVITE_USES, Preview, Settings};
pub use view::Alert;
