mod builds;
mod log;
mod templates;

use proptest::prelude::*;

use super::msg::Msg;
use super::state::Screen;
use super::testing::{SIZES, buffer, press, sample, state};
use super::update::update;

#[test]
fn no_size_and_no_order_of_keys_panics() {
    let keys = super::keymap::all().flat_map(|(_, binding)| binding.keys.iter().copied()).collect::<Vec<_>>();
    let step = (0..keys.len(), 1_u16..300, 1_u16..100, any::<bool>());
    proptest!(ProptestConfig::with_cases(64), |(steps in proptest::collection::vec(step, 1..60), fed in any::<bool>())| {
        let mut state = if fed { sample((80, 24)) } else { state((80, 24)) };
        for (key, width, height, resize) in steps {
            if resize {
                let _ = update(&mut state, Msg::Resize(width, height));
            }
            let _ = press(&mut state, keys[key]);
            let _ = buffer(&state);
        }
    });
}

#[test]
fn every_screen_fills_every_size() {
    for size in SIZES {
        for screen in Screen::ALL {
            let mut state = sample(size);
            state.screen = screen;
            let drawn = buffer(&state);
            assert!(drawn.content().iter().any(|cell| cell.symbol() != " "), "{screen:?} at {size:?} is empty");
        }
    }
}
