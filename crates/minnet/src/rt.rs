//! Tasks and deadlines, natively and in a browser.

use std::{future::Future, time::Duration};

use futures::future::{Either, select};
use futures_timer::Delay;

/// Runs a future by itself.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(task);
}

/// Runs a future by itself.
#[cfg(target_arch = "wasm32")]
pub(crate) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    wasm_bindgen_futures::spawn_local(task);
}

/// What the future gives, if it does in time.
pub(crate) async fn within<T>(limit: Duration, future: impl Future<Output = T> + Unpin) -> Option<T> {
    match select(future, Delay::new(limit)).await {
        Either::Left((done, _)) => Some(done),
        Either::Right(_) => None,
    }
}
