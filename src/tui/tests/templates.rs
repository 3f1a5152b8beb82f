//! The Templates screen, with the real evaluator and real files behind it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use ratatui::layout::Size;

use crate::catalogue::Around;
use crate::event::summary::Summary;
use crate::event::{Ending, EventKind};
use crate::history::recorder::{Recorder, Recording};
use crate::output::renderer::Renderer as _;
use crate::template::diagnostic::Diagnostics;
use crate::tui::effect::templates::Worker;
use crate::tui::effect::{BuildRequest, Done, Effect, Work};
use crate::tui::msg::Msg;
use crate::tui::state::overlay::Overlay;
use crate::tui::state::templates::Stage;
use crate::tui::state::{Screen, State};
use crate::tui::testing::{SIZES, buffer, event, press, render, state, type_text};
use crate::tui::update::update;

const SERVER: &str = r#"# A server with a key of yours: nothing is downloaded.
variable "image_name" {
  type        = string
  default     = "server"
  description = "Name of the image, and of the file it is written to."
}
variable "memory" {
  type        = number
  default     = 4096
  description = "Memory in MB."
  validation {
    condition     = var.memory >= 512
    error_message = "It needs 512 MB at least."
  }
}
variable "efi" {
  type    = bool
  default = true
}
variable "mirror" {
  default     = "one"
  description = "Where packages come from."
  validation {
    condition     = contains(["one", "two", "three"], var.mirror)
    error_message = "The mirror is one, two or three."
  }
}
variable "ssh_public_key" {
  type        = string
  description = "Public key put in authorized_keys."
  validation {
    condition     = startswith(var.ssh_public_key, "ssh-")
    error_message = "This is no OpenSSH public key: it begins with ssh-."
  }
}
variable "admin_password" {
  type        = string
  default     = "changeme"
  sensitive   = true
  description = "Password of the administrator."
}
source "file" "server" {
  content = var.ssh_public_key
  target  = "output/${var.image_name}"
}
build {
  sources = ["source.file.server"]
  provisioner "shell-local" {
    name   = "greet"
    inline = ["echo hello"]
  }
}
"#;

/// A person in a directory, with the screen open.
struct Person {
    directory: tempfile::TempDir,
    around: Around,
    worker: Worker,
    state: State,
    /// What was asked of the outside besides work on templates.
    outside: Vec<Effect>,
}

impl Person {
    fn in_empty_folder(size: (u16, u16)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let cwd = directory.path().join("cwd");
        fs::create_dir(&cwd).unwrap();
        let around = Around {
            cwd,
            env: BTreeMap::new(),
            user_templates: None,
            packer_version: "1.16.0".to_owned(),
            now: || jiff::Timestamp::UNIX_EPOCH,
            check: |_| Diagnostics::default(),
        };
        let state = State { screen: Screen::Templates, ..state(size) };
        Self { directory, around, worker: Worker::default(), state, outside: Vec::new() }
    }

    fn with_server(size: (u16, u16)) -> Self {
        let person = Self::in_empty_folder(size);
        person.write("server.pkr.hcl", SERVER);
        person.write("broken/a.pkr.hcl", "# What was meant to be a web server.\nsource \"file\" {\n}\n");
        person.opened()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.around.cwd.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.around.cwd.join(name)).unwrap()
    }

    fn opened(mut self) -> Self {
        let effects = update(&mut self.state, Msg::Returned);
        self.settle(effects);
        self
    }

    /// Has all work done that effects ask for.
    fn settle(&mut self, mut effects: Vec<Effect>) {
        let state_directory = self.directory.path().join("state");
        while !effects.is_empty() {
            for effect in std::mem::take(&mut effects) {
                match effect {
                    Effect::Work(Work::Templates(op)) => {
                        let done = self.worker.done(op, &self.around, &state_directory);
                        let done =
                            done.unwrap_or_else(|error| crate::tui::effect::templates::Done::Failed(error.to_string()));
                        effects.extend(update(&mut self.state, Msg::Done(Done::Templates(done))));
                    }
                    other => self.outside.push(other),
                }
            }
        }
    }

    fn press(&mut self, keys: &str) -> &mut Self {
        for key in keys.split(' ') {
            let effects = press(&mut self.state, key);
            self.settle(effects);
        }
        self
    }

    fn type_text(&mut self, text: &str) -> &mut Self {
        let effects = type_text(&mut self.state, text);
        self.settle(effects);
        self
    }

    fn find(&mut self, text: &str) -> &mut Self {
        self.press("/").type_text(text).press("Enter")
    }

    fn started(&self) -> Vec<&BuildRequest> {
        let started = self.outside.iter().filter_map(|effect| match effect {
            Effect::StartBuild(request) => Some(request),
            _ => None,
        });
        started.collect()
    }

    fn screen(&self) -> String {
        let buffer = buffer(&self.state);
        let rows = buffer.content().chunks(usize::from(buffer.area.width));
        rows.map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>() + "\n").collect()
    }

    fn shown_in_all_sizes(&mut self, name: &str) {
        for (width, height) in SIZES {
            self.state.size = Size::new(width, height);
            insta::assert_snapshot!(format!("templates_{name}_{width}x{height}"), render(&self.state));
        }
        self.state.size = Size::new(80, 24);
    }
}

#[test]
fn the_browser_in_four_sizes() {
    Person::with_server((80, 24)).press("j").shown_in_all_sizes("browser");
}

#[test]
fn a_broken_template_in_four_sizes() {
    let mut person = Person::with_server((80, 24));
    person.find("broken").shown_in_all_sizes("broken");
}

#[test]
fn the_form_in_four_sizes() {
    let mut person = Person::with_server((80, 24));
    person.find("server").press("Enter").type_text("ecdsa AAAA").shown_in_all_sizes("form");
}

#[test]
fn the_review_in_four_sizes() {
    let mut person = Person::with_server((80, 24));
    person.write("server.pkrvars.hcl", "memory = 1024\nssh_public_key = \"ssh-rsa old\"\n");
    person.find("server").press("Enter Shift-Tab Shift-Tab Shift-Tab Shift-Tab Shift-Tab Shift-Tab");
    person.press("Ctrl-u").type_text("web").press("Tab").press("Enter");
    assert!(matches!(person.state.templates.stage, Stage::Review), "{}", person.screen());
    person.shown_in_all_sizes("review");
}

#[test]
fn the_source_in_four_sizes() {
    let mut person = Person::with_server((80, 24));
    person.find("server").press("v").shown_in_all_sizes("source");
    assert!(person.press("G").screen().contains("echo hello"));
    assert!(person.press("Esc").screen().contains("BUILDER"));
}

#[test]
fn from_an_empty_folder_to_a_build_in_two_keys() {
    let mut person = Person::in_empty_folder((80, 24)).opened();
    let screen = person.screen();
    assert!(screen.contains("debian-rootfs") && screen.contains("built-in"), "{screen}");
    person.find("debian-rootfs").press("b");
    assert_eq!(person.started(), [&BuildRequest { template: "debian-rootfs".into(), ..BuildRequest::default() }]);
    assert_eq!(person.state.screen, Screen::Builds);
    assert!(person.around.cwd.join("debian-rootfs/scripts/apt.sh").is_file());
}

#[test]
fn a_form_filled_wrongly_and_then_rightly_is_written_and_built() {
    let mut person = Person::with_server((80, 24));
    // The keys are in the field that has no value; letters are text there, whatever they do elsewhere.
    person.find("server").press("Enter").type_text("q1?bad");
    assert!(person.screen().contains("This is no OpenSSH public key"), "{}", person.screen());
    person.press("Enter");
    assert!(matches!(person.state.templates.stage, Stage::Form));
    assert!(person.screen().contains("1 error to be mended first"), "{}", person.screen());
    person.press("Ctrl-u").type_text("ssh-ed25519 AAAA").press("Tab").type_text("s3cret");
    assert!(person.screen().contains("******") && !person.screen().contains("s3cret"), "{}", person.screen());
    person.press("Shift-Tab Shift-Tab Right Shift-Tab").type_text("n").press("Enter");
    let review = person.screen();
    assert!(review.contains("server.pkrvars.hcl  new") && review.contains("set PKR_VAR_admin_password"), "{review}");
    person.press("b");
    let expected = "efi            = false\nmirror         = \"two\"\nssh_public_key = \"ssh-ed25519 AAAA\"\n\
                    # admin_password is sensitive: set PKR_VAR_admin_password\n";
    assert_eq!(person.read("server.pkrvars.hcl"), expected);
    let request = BuildRequest {
        template: "server.pkr.hcl".into(),
        vars: [("admin_password".to_owned(), "s3cret".to_owned())].into(),
        var_files: vec!["server.pkrvars.hcl".into()],
        ..BuildRequest::default()
    };
    assert_eq!(person.started(), [&request]);
}

#[test]
fn esc_keeps_what_was_typed_also_when_another_form_was_open() {
    let mut person = Person::with_server((80, 24));
    person.find("server").press("Enter").type_text("ssh-kept").press("Esc");
    assert!(person.screen().contains("BUILDER"));
    person.press("Esc").find("debian-oci").press("Enter Esc Esc").find("server").press("Enter");
    assert!(person.screen().contains("[ssh-kept "), "{}", person.screen());
    person.press("Shift-Tab Shift-Tab Ctrl-x");
    assert!(!person.screen().contains("ssh-kept"), "{}", person.screen());
}

#[test]
fn files_in_the_way_are_shown_and_asked_for() {
    let mut person = Person::in_empty_folder((80, 24));
    person.write("two-builds/template.pkr.hcl", "# mine\n");
    person = person.opened();
    person.find("built-in two-builds").press("Enter Enter");
    assert!(person.screen().contains("! two-builds/template.pkr.hcl  changed"), "{}", person.screen());
    person.press("w");
    assert!(matches!(person.state.overlays.last(), Some(Overlay::Confirm(_))));
    person.press("Esc");
    assert_eq!(person.read("two-builds/template.pkr.hcl"), "# mine\n");
    person.press("w r");
    assert!(person.state.overlays.is_empty());
    assert!(person.read("two-builds/template.pkr.hcl").contains("source \"rootfs\" \"web\""));
    // What has been written is what is selected now.
    let card = person.state.templates.selected().unwrap();
    assert_eq!((card.path.clone(), card.origin.text()), (PathBuf::from("two-builds"), "here"));
}

#[test]
fn a_build_over_output_that_is_there_asks_first() {
    let mut person = Person::with_server((80, 24));
    person.write("output/server", "an image");
    person.write("server.pkrvars.hcl", "ssh_public_key = \"ssh-rsa x\"\n");
    person.find("server").press("Enter Enter b");
    assert!(person.started().is_empty());
    assert!(person.screen().contains("output/server"), "{}", person.screen());
    let effects = press(&mut person.state, "r");
    assert!(matches!(effects.as_slice(), [Effect::StartBuild(request)] if request.force), "{effects:?}");
}

#[test]
fn a_template_that_needs_values_opens_its_form_instead_of_a_build() {
    let mut person = Person::with_server((80, 24));
    person.find("server").press("b");
    assert!(person.started().is_empty() && matches!(person.state.templates.stage, Stage::Form));
    assert!(person.screen().contains("it needs values first"), "{}", person.screen());
}

#[test]
fn an_answer_to_what_was_typed_before_is_not_taken() {
    let mut person = Person::with_server((80, 24));
    person.find("server").press("Enter");
    // Nothing is evaluated while more is typed: one is under way, and one more follows it.
    let effects = type_text(&mut person.state, "ssh-x");
    assert_eq!(effects.len(), 1, "{effects:?}");
    let Some(Effect::Work(Work::Templates(op))) = effects.into_iter().next() else { panic!("work is asked for") };
    let done = person.worker.done(op, &person.around, &person.directory.path().join("state")).unwrap();
    let next = update(&mut person.state, Msg::Done(Done::Templates(done)));
    let text = |person: &Person| person.state.templates.wizard.as_ref().unwrap().evaluated.clone().unwrap().variables;
    assert!(!text(&person).contains("ssh"), "the answer to `s` alone was dropped");
    person.settle(next);
    assert_eq!(text(&person), "ssh_public_key = \"ssh-x\"\n");
}

#[test]
fn keys_pressed_before_the_fields_are_known_are_for_them() {
    let mut person = Person::with_server((80, 24));
    person.find("server");
    let effects = press(&mut person.state, "Enter");
    assert!(type_text(&mut person.state, "ssh-early").is_empty() && press(&mut person.state, "Enter").is_empty());
    person.settle(effects);
    assert!(matches!(person.state.templates.stage, Stage::Review), "{}", person.screen());
    assert!(person.screen().contains("ssh_public_key = \"ssh-early\""), "{}", person.screen());
}

#[test]
fn a_file_is_picked_by_its_path_or_by_what_is_in_it() {
    let mut person = Person::with_server((80, 24));
    person.write("keys/id.pub", "ssh-rsa PICKED\n");
    person.find("server").press("Enter Ctrl-f");
    assert!(person.screen().contains("pick a file"), "{}", person.screen());
    while !person.screen().contains("> keys/") {
        person.press("j");
    }
    person.press("Enter j c");
    let value = |person: &Person| {
        let wizard = person.state.templates.wizard.as_ref().unwrap();
        wizard.rows[wizard.focus].input.value().to_owned()
    };
    assert_eq!(value(&person), "ssh-rsa PICKED");
    person.press("Ctrl-f");
    while !person.screen().contains("> keys/") {
        person.press("j");
    }
    person.press("Enter j Enter");
    assert_eq!(value(&person), "keys/id.pub");
}

#[test]
fn a_field_is_written_in_the_editor() {
    let mut person = Person::with_server((80, 24));
    person.find("server").press("Enter").type_text("ssh-").press("Ctrl-e");
    let Some(Effect::Edit(path)) = person.outside.pop() else { panic!("an editor is asked for") };
    assert_eq!(fs::read_to_string(&path).unwrap(), "ssh-\n");
    fs::write(&path, "ssh-rsa EDITED\n").unwrap();
    let effects = update(&mut person.state, Msg::Returned);
    person.settle(effects);
    assert!(person.screen().contains("[ssh-rsa EDITED "), "{}", person.screen());
    assert!(!path.exists());
    // What is sensitive is not put into a file.
    person.press("Tab Ctrl-e");
    assert!(person.outside.is_empty(), "{:?}", person.outside);
}

/// Records a run of the template's one build, with a step that took so long.
fn record(state: &std::path::Path, template: &std::path::Path, seconds: f64) {
    let template = template.canonicalize().unwrap().display().to_string();
    let recording =
        Recording { state: state.to_owned(), template, template_digest: "d".repeat(64), ..Recording::default() };
    let mut recorder = Recorder::new(recording);
    let build = Some("file.server");
    let name = || "file".into();
    let kinds = [
        EventKind::RunStarted {
            schema: 1,
            version: "0.1.0".to_owned(),
            run: "20260901T120000-abc123".to_owned(),
            uuid: "0".repeat(32),
            builds: vec!["file.server".to_owned()],
            net: "cache".to_owned(),
        },
        EventKind::BuildStarted { builder_type: "file".to_owned(), log: "/logs/x.log".into() },
        EventKind::StepStarted { index: 0, name: name(), attempt: 1 },
        EventKind::StepFinished { index: 0, name: name(), ending: Ending::Succeeded, seconds, attempt: 1 },
        EventKind::BuildFinished {
            ending: Ending::Succeeded,
            seconds,
            failure: None,
            artifacts: Vec::new(),
            left: Vec::new(),
            marks: Vec::new(),
            exit_code: 0,
        },
        EventKind::RunFinished {
            seconds,
            cancelled: None,
            totals: larder_proxy::stats::Totals::default(),
            missing: None,
        },
    ];
    for (index, kind) in kinds.into_iter().enumerate() {
        let of = if (1..5).contains(&index) { build } else { None };
        recorder.event(&event(0, of, kind)).unwrap();
    }
    recorder.finish(&Summary::default()).unwrap();
}

#[test]
fn a_template_that_was_built_says_how_long_it_takes() {
    let mut person = Person::with_server((80, 24));
    person.find("server");
    assert!(!person.screen().contains("takes"), "{}", person.screen());
    record(&person.directory.path().join("state"), &person.around.cwd.join("server.pkr.hcl"), 125.0);
    person.press("R");
    assert!(person.screen().contains("takes     ~2:05, as before"), "{}", person.screen());
}

#[test]
fn the_copy_is_compared_with_what_it_was_made_from() {
    let mut person = Person::in_empty_folder((100, 24)).opened();
    person.find("built-in archive-rootfs").press("d");
    assert!(person.screen().contains("there is no copy of it in ./archive-rootfs"), "{}", person.screen());
    person.press("Enter Enter w");
    person.write("archive-rootfs/scripts/setup.sh", "#!/bin/sh\necho mine\n");
    person.find("built-in archive-rootfs").press("d");
    let screen = person.screen();
    assert!(screen.contains("+ echo mine") && screen.contains("- set -eu"), "{screen}");
}

#[test]
fn no_size_and_no_order_of_keys_panics() {
    let keys = crate::tui::keymap::all().flat_map(|(_, binding)| binding.keys.iter().copied()).collect::<Vec<_>>();
    let step = (0..keys.len(), 1_u16..300, 1_u16..100, any::<bool>(), "[a-z0-9\u{e9}\u{65e5}]{0,3}");
    let config = ProptestConfig { cases: 24, ..ProptestConfig::default() };
    proptest!(config, |(steps in prop::collection::vec(step, 1..50))| {
        let mut person = Person::with_server((80, 24));
        person.find("server").press("Enter");
        for (key, width, height, resize, text) in steps {
            if resize {
                let effects = update(&mut person.state, Msg::Resize(width, height));
                person.settle(effects);
            }
            if matches!(person.state.templates.stage, Stage::Form) {
                person.type_text(&text);
            }
            person.press(keys[key]);
            person.state.screen = Screen::Templates;
            person.state.streaming = false;
            let _ = buffer(&person.state);
        }
    });
}
