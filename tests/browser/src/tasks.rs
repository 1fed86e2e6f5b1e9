//! The executor, beneath the browser's own handlers and microtasks.

use futures::channel::oneshot;
use futures::future::{Either, select};
use js_sys::{Function, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::Outcomes;

const PATIENCE_MS: i32 = 20_000;

#[wasm_bindgen]
extern "C" {
    type ErrorEvent;
    #[wasm_bindgen(method, js_name = preventDefault)]
    fn prevent_default(this: &ErrorEvent);
    /// web-sys and js-sys would catch what it throws.
    type Thrower;
    #[wasm_bindgen(method, js_name = call)]
    fn throw(this: &Thrower);
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(then: &Function, after_ms: i32);
    #[wasm_bindgen(js_name = addEventListener)]
    fn listen(name: &str, listener: &Function);
    #[wasm_bindgen(js_name = removeEventListener)]
    fn unlisten(name: &str, listener: &Function);
}

pub async fn run(outcomes: &mut Outcomes) -> Result<(), JsValue> {
    outcomes.test("tasks: a handler runs what it woke before it returns", at_once()).await?;
    outcomes.test("tasks: what nobody runs at once runs in a microtask", later()).await?;
    outcomes.test("tasks: an exception through one leaves the others running", exception()).await
}

/// As the browser calls a handler; `Err`: something was thrown.
fn handle(handler: impl FnMut() + 'static) -> Result<(), String> {
    let handler = Closure::<dyn FnMut()>::new(handler);
    let called = handler.as_ref().unchecked_ref::<Function>().call0(&JsValue::NULL);
    called.map(drop).map_err(|error| format!("{error:?}"))
}

async fn in_time(done: oneshot::Receiver<()>) -> Result<(), String> {
    let (late, patience) = oneshot::channel::<()>();
    let timer = Closure::once_into_js(move || drop(late));
    set_timeout(timer.unchecked_ref(), PATIENCE_MS);
    match select(done, patience).await {
        Either::Left((Ok(()), _)) => Ok(()),
        Either::Left((Err(_), _)) => Err("the task is gone".into()),
        // The timer's end is gone, for the timer went off.
        Either::Right(_) => Err("the task does not run".into()),
    }
}

async fn at_once() -> Result<(), String> {
    let (event, heard) = oneshot::channel::<()>();
    let (ran, mut runs) = oneshot::channel();
    ledgerno_tasks::spawn(async move {
        if heard.await.is_ok() {
            ran.send(()).ok();
        }
    });
    let mut event = Some(event);
    handle(move || {
        ledgerno_tasks::now();
        event.take().map(|event| event.send(()));
        ledgerno_tasks::now();
    })?;
    runs.try_recv().ok().flatten().ok_or_else(|| "it has not run".into())
}

async fn later() -> Result<(), String> {
    let (ran, mut runs) = oneshot::channel();
    ledgerno_tasks::spawn(async move {
        ran.send(()).ok();
    });
    if !matches!(runs.try_recv(), Ok(None)) {
        return Err("it ran within who spawned it".into());
    }
    // The microtasks after that one.
    for _ in 0..2 {
        JsFuture::from(Promise::resolve(&JsValue::NULL)).await.map_err(|error| format!("{error:?}"))?;
    }
    runs.try_recv().ok().flatten().ok_or_else(|| "no microtask has run it".into())
}

async fn exception() -> Result<(), String> {
    let thrower = Function::new_no_args("throw new Error('as a fault of a browser may')");
    let throw = move || {
        let thrower = thrower.clone();
        ledgerno_tasks::spawn(async move { thrower.unchecked_ref::<Thrower>().throw() });
    };
    // In a handler's go, and in a microtask's.
    let in_handler = throw.clone();
    let thrown = handle(move || {
        in_handler();
        ledgerno_tasks::now();
    });
    if thrown.is_ok() {
        return Err("nothing was thrown".into());
    }
    run_one().await?;
    let (heard, error) = oneshot::channel();
    let mut heard = Some(heard);
    let listener = Closure::<dyn FnMut(ErrorEvent)>::new(move |event: ErrorEvent| {
        event.prevent_default();
        heard.take().map(|heard| heard.send(()));
    });
    listen("error", listener.as_ref().unchecked_ref());
    throw();
    in_time(error).await.map_err(|_| "nothing was thrown in a microtask")?;
    unlisten("error", listener.as_ref().unchecked_ref());
    run_one().await
}

async fn run_one() -> Result<(), String> {
    let (ran, runs) = oneshot::channel();
    ledgerno_tasks::spawn(async move {
        ran.send(()).ok();
    });
    in_time(runs).await
}
