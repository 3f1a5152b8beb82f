//! Being asked to stop from outside.

use std::sync::mpsc::Sender;

use tokio::runtime::Handle;

use crate::guest::stop::{self, Whom};
use crate::tui::msg::Msg;
use crate::tui::terminal;

/// Tells the UI that somebody has asked the process to stop (`kill -TSTP`), so that it first gives the terminal back.
/// Where the UI does not have the terminal, the process stops as it would have without this.
pub(super) fn watch(runtime: &Handle, messages: Sender<Msg>) {
    let Ok(Some(mut asked)) = stop::asked() else { return };
    runtime.spawn(async move {
        while asked.recv().await.is_some() {
            if !terminal::is_taken() || messages.send(Msg::Stop).is_err() {
                let _ = stop::stop(Whom::Oneself).await;
            }
        }
    });
}
