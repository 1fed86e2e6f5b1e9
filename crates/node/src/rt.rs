//! The few things of a runtime that the driver needs, on one thread: tasks, time, randomness.

use std::future::Future;
use std::time::Duration;
use web_time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970 by this device's clock.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Runs a future beside the caller, on the same thread.
pub fn spawn(future: impl Future<Output = ()> + 'static) {
    #[cfg(target_arch = "wasm32")]
    ledgerno_tasks::spawn(future);
    #[cfg(not(target_arch = "wasm32"))]
    drop(tokio::task::spawn_local(future));
}

/// Resolves after a while.
pub async fn sleep(duration: Duration) {
    #[cfg(target_arch = "wasm32")]
    gloo_timers::future::sleep(duration).await;
    #[cfg(not(target_arch = "wasm32"))]
    tokio::time::sleep(duration).await;
}

/// Fresh randomness from the system.
///
/// # Errors
/// When the system has none; then nothing may be signed.
pub fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
