//! A place in a list or text: what is selected, and what is seen.

use crate::tui::keymap::motion::Motion;

/// A selected row, and the first row seen. The list itself is elsewhere, and may grow or shrink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The selected row.
    pub selected: usize,
    /// The first row seen.
    pub top: usize,
}

impl Place {
    /// Moves in a list of `count` rows of which `page` are seen.
    pub fn go(&mut self, motion: Motion, count: usize, page: usize) {
        self.selected = motion.apply(self.selected, count, page);
        self.fit(count, page);
    }

    /// Selects a row.
    pub fn select(&mut self, row: usize, count: usize, page: usize) {
        self.selected = row;
        self.fit(count, page);
    }

    /// Brings selection and view back within a list that has changed, or a pane that has.
    pub fn fit(&mut self, count: usize, page: usize) {
        self.selected = self.selected.min(count.saturating_sub(1));
        let page = page.max(1);
        self.top = self.top.min(count.saturating_sub(page)).min(self.selected);
        self.top = self.top.max((self.selected + 1).saturating_sub(page));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_selected_is_seen() {
        let mut place = Place::default();
        for motion in [Motion::Last, Motion::PageUp, Motion::Up, Motion::HalfDown, Motion::First, Motion::PageDown] {
            place.go(motion, 100, 10);
            assert!(place.selected >= place.top && place.selected < place.top + 10, "{motion:?}: {place:?}");
        }
        place.go(Motion::Last, 100, 10);
        assert_eq!(place, Place { selected: 99, top: 90 });
        place.fit(3, 10);
        assert_eq!(place, Place { selected: 2, top: 0 });
        place.fit(0, 0);
        assert_eq!(place, Place::default());
    }
}
