//! Keys of what lies over a screen. They cannot be changed: there letters are typed, or are answers.

/// An overlay: what it is, and its keys with what they do.
#[derive(Clone, Copy, Debug)]
pub struct Described {
    /// The overlay's name.
    pub name: &'static str,
    /// What it is for.
    pub help: &'static str,
    /// Keys, and what they do.
    pub keys: &'static [(&'static str, &'static str)],
}

/// Help, palette, messages, a build's question, a question of the UI's own.
pub const OVERLAYS: &[Described] = &[
    Described {
        name: "Help",
        help: "All keys, those of the screen below first. What is typed searches it.",
        keys: &[("Up Down PgUp PgDn", "move"), ("Backspace, Ctrl-w", "take back what was typed"), ("Esc", "back")],
    },
    Described {
        name: "Palette",
        help: "Every command by name. What is typed need not be adjacent in the name: `bca` finds `builds.cancel`.",
        keys: &[("Up Down PgUp PgDn", "move"), ("Enter", "do the selected command"), ("Esc", "back")],
    },
    Described {
        name: "Messages",
        help: "Errors and warnings of the run and of the UI, and what was written to standard error.",
        keys: &[
            ("move.*", "move"),
            ("Enter", "the log of the build it is about"),
            ("y", "copy the selected message"),
            ("Y", "copy all"),
            ("Esc, q, !", "back"),
        ],
    },
    Described {
        name: "Question",
        help: "A build waits for an answer; others go on. Enter does nothing, so that a stray one destroys nothing.",
        keys: &[
            ("r R e s g k c A", "choose, of what is offered"),
            ("[ ]", "the question before, the next"),
            ("=", "the answer is for all questions of the same failure, or for this one alone"),
            ("l", "the build's log"),
            ("y", "copy why it is asked"),
            ("Esc, q", "later"),
        ],
    },
    Described {
        name: "Confirm",
        help: "Something that cannot be undone.",
        keys: &[("a letter", "choose it"), ("Esc", "do nothing")],
    },
];
