//! The user's editor and pager.
