//! The terminal UI: what is built, what it downloads and from where, and the means to act on it.
//!
//! A [`state::State`] is changed by [`update::update`] for each [`msg::Msg`], and shown by [`view::view`]; both are pure.
//! What the outside must do is an [`effect::Effect`], carried out by [`app`] and the workers of [`effect`]. The thread
//! of the UI gets events from a [`feed::Feed`], which leaves out lines of output: those are read from the log's file, so
//! that a slow terminal holds up no build.

pub mod app;
pub mod effect;
pub mod feed;
mod input;
pub mod keymap;
mod layout;
pub mod msg;
pub mod state;
pub mod symbols;
pub mod terminal;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod theme;
pub mod update;
pub mod view;
mod widget;
