//! What is done with requests.

use larder_proxy::cache::Mode;
use larder_proxy::flow::Flow;

use super::list::step_to;
use super::selected_item;
use crate::output::text::bytes;
use crate::tui::effect::proxy::Op;
use crate::tui::effect::{Effect, Work};
use crate::tui::state::State;
use crate::tui::state::overlay::{Confirm, ConfirmOption, Overlay};
use crate::tui::state::proxy::rows::{Item, item};

/// The selected request, as far as it has come.
pub(super) fn selected(state: &State) -> Option<&Flow> {
    selected_item(state)?.flow()
}

/// The selected request, if there is one; says so otherwise.
fn one(state: &mut State) -> Option<Flow> {
    let found = selected(state).cloned();
    if found.is_none() {
        state.notice("no request is selected");
    }
    found
}

/// The requests that are marked and still kept.
fn marked(state: &State) -> Vec<&Flow> {
    state.run.flows.iter().map(|flow| &**flow).filter(|flow| state.proxy.marks.contains(&flow.id)).collect()
}

fn work(op: Op) -> Vec<Effect> {
    vec![Effect::Work(Work::Proxy(op))]
}

pub(super) fn mark(state: &mut State) -> Vec<Effect> {
    if let Some(flow) = one(state) {
        if !state.proxy.marks.remove(&flow.id) {
            state.proxy.marks.insert(flow.id);
        }
        // On to the next, so that several are marked by pressing the key again; but following goes on by itself.
        if !state.proxy.follow {
            step_to(state, state.proxy.place.selected + 1);
        }
    }
    Vec::new()
}

pub(super) fn next_mark(state: &mut State) -> Vec<Effect> {
    let (count, from) = (state.proxy.rows.len(), state.proxy.place.selected);
    let is_marked = |at: &usize| {
        let found = item(&state.proxy, &state.run, &state.proxy.rows[*at]).and_then(Item::flow);
        found.is_some_and(|flow| state.proxy.marks.contains(&flow.id))
    };
    let found = (1..=count).map(|step| (from + step) % count).find(is_marked);
    if let Some(at) = found {
        state.proxy.follow = false;
        step_to(state, at);
    } else {
        state.notice("no request is marked; m marks one");
    }
    Vec::new()
}

/// Something with the body of the selected request.
pub(super) fn body(state: &mut State, op: impl FnOnce(String, String) -> Op) -> Vec<Effect> {
    let Some(flow) = one(state) else { return Vec::new() };
    match flow.digest {
        Some(digest) => work(op(digest.to_string(), flow.url)),
        None => {
            state.notice("its body is not stored");
            Vec::new()
        }
    }
}

pub(super) fn har(state: &mut State) -> Vec<Effect> {
    let marked = marked(state);
    let flows: Vec<Flow> = if marked.is_empty() {
        let items = state.proxy.rows.iter().filter_map(|row| item(&state.proxy, &state.run, row));
        items.filter_map(|item| if let Item::Ended(flow) = item { Some(flow.clone()) } else { None }).collect()
    } else {
        marked.into_iter().cloned().collect()
    };
    if flows.is_empty() {
        state.notice("there are no requests to write");
        return Vec::new();
    }
    work(Op::Har(flows))
}

pub(super) fn curl(state: &mut State) -> Vec<Effect> {
    let Some(flow) = one(state) else { return Vec::new() };
    let how = match &*flow.method {
        "GET" => String::new(),
        "HEAD" => " --head".to_owned(),
        "CONNECT" => {
            state.notice("a tunnel cannot be asked for by a command: Larder does not see what is in it");
            return Vec::new();
        }
        method => format!(" --request {}", quoted(method)),
    };
    let text = format!("curl --location --remote-name{how} {}", quoted(&flow.url));
    state.notice("copied the curl command");
    vec![Effect::Copy(text)]
}

/// For a shell: whatever it holds, it is one word.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

pub(super) fn copy(state: &mut State) -> Vec<Effect> {
    let text = match selected_item(state) {
        Some(Item::Heading(heading)) => heading.name.clone(),
        Some(item) => item.flow().map(|flow| flow.url.clone()).unwrap_or_default(),
        None => return Vec::new(),
    };
    state.notice("copied");
    vec![Effect::Copy(text)]
}

pub(super) fn copy_all(state: &mut State) -> Vec<Effect> {
    let items = state.proxy.rows.iter().filter_map(|row| item(&state.proxy, &state.run, row));
    let lines: Vec<String> = items
        .filter_map(Item::flow)
        .map(|flow| format!("{} {} {} {} {}", flow.outcome, flow.status, flow.method, flow.url, flow.bytes_sent))
        .collect();
    state.notice(format!("copied {} lines", lines.len()));
    vec![Effect::Copy(lines.join("\n"))]
}

pub(super) fn drop_from_cache(state: &mut State) -> Vec<Effect> {
    let marked: Vec<Flow> = marked(state).into_iter().cloned().collect();
    let flows = if marked.is_empty() { one(state).into_iter().collect() } else { marked };
    let mut urls: Vec<String> = flows.iter().map(|flow| flow.url.clone()).filter(|url| url.contains("://")).collect();
    urls.sort();
    urls.dedup();
    let Some(first) = urls.first() else { return Vec::new() };
    let what = if urls.len() == 1 { first.clone() } else { format!("{} URLs", urls.len()) };
    let size: u64 = flows.iter().map(|flow| flow.bytes_sent).sum();
    let drop = ConfirmOption { key: 'd', text: "drop".to_owned(), effects: work(Op::Drop(urls)) };
    state.overlays.push(Overlay::Confirm(Confirm {
        title: "Drop from the cache".to_owned(),
        lines: vec![format!("{what}, {}", bytes(size)), "The next request for it fetches it again.".to_owned()],
        options: vec![drop],
    }));
    Vec::new()
}

pub(super) fn refetch(state: &mut State) -> Vec<Effect> {
    let Some(flow) = one(state) else { return Vec::new() };
    if !flow.url.contains("://") {
        state.notice("a tunnel is not fetched: Larder does not see what is in it");
        return Vec::new();
    }
    state.notice(format!("asking upstream for {}", flow.url));
    work(Op::Refetch(flow.url))
}

pub(super) fn mode(state: &mut State) -> Vec<Effect> {
    let Some(mode) = state.proxy.mode else {
        state.notice("there is no proxy: nothing is being built");
        return Vec::new();
    };
    let option = |key, to, text: &str| {
        let now = if to == mode { "  (now)" } else { "" };
        ConfirmOption { key, text: format!("{text}{now}"), effects: work(Op::SetMode(to)) }
    };
    let mut lines = vec!["It holds for all builds of this run, from the next request on.".to_owned()];
    let under_way = state.proxy.in_flight.len();
    if under_way > 0 {
        lines.push(format!("{under_way} under way go on as they began."));
    }
    state.overlays.push(Overlay::Confirm(Confirm {
        title: "Mode of the proxy".to_owned(),
        lines,
        options: vec![
            option('c', Mode::Cache, "cache: what is not stored is fetched"),
            option('o', Mode::Offline, "offline: what is not stored is refused"),
        ],
    }));
    Vec::new()
}
