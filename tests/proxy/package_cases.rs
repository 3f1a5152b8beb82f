//! The package cases of `tests/long/package-cases`, which puts other proxies beside Larder: here Larder alone.

use std::collections::BTreeSet;
use std::process::Command;

use crate::larder::Run;

const DRIVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/long/package-cases");

fn driver(args: &[&str]) -> Run {
    let mut command = Command::new("python3");
    command.arg(DRIVER).args(args).env("LARDER", env!("CARGO_BIN_EXE_larder"));
    Run::of(command.output().unwrap())
}

/// A test for each line, of the cases it names; and one that no case is left out.
macro_rules! cases {
    ($($test:ident: $($case:literal),+;)+) => {
        $(
            #[test]
            fn $test() {
                let names = [$($case),+].join(",");
                let run = driver(&["--only", "larder", "--case", &names]);
                assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
            }
        )+

        #[test]
        fn every_package_case_has_a_test() {
            let run = driver(&["--list"]).expect(0);
            let tested: BTreeSet<&str> = [$($($case),+),+].into();
            assert_eq!(run.stdout.lines().collect::<BTreeSet<_>>(), tested);
        }
    };
}

cases! {
    twenty_first_requests_are_one_fetch_streamed_to_all: "twenty-at-once";
    a_part_is_served_of_what_is_stored_and_fetches_the_whole: "range-of-stored", "range-first";
    a_part_of_much_fetches_no_more_than_the_part: "range-of-10-gb";
    parts_are_joined_and_completed_and_never_mixed: "parts-joined", "parts-completed", "parts-of-two-states";
    a_fetch_goes_on_without_its_client: "client-gone";
    what_is_stale_is_confirmed_by_its_validator: "stale-etag", "stale-last-modified", "no-cache-etag";
    a_fetch_whose_origin_died_is_resumed: "origin-dead";
    two_signatures_of_one_object_are_one_fetch: "two-signatures";
    answers_to_credentials_go_to_nobody_else: "authorization-max-age";
    public_answers_to_credentials_go_to_all: "authorization-public";
    without_a_lifetime_only_a_last_modified_gives_one: "no-freshness", "heuristic";
    what_may_not_be_stored_is_fetched_each_time: "no-store", "private";
    what_is_not_found_is_remembered_only_as_long_as_it_says: "not-found-max-age", "not-found";
    an_origin_that_is_down_is_stood_in_for_as_far_as_allowed: "down-stale", "down-stale-if-error", "down-fresh",
        "down-must-revalidate", "down-unknown";
    wrong_bytes_for_the_digest_of_a_url_are_fetched_again: "wrong-bytes";
    wrong_bytes_for_the_digest_of_an_index_are_fetched_again: "wrong-bytes-index";
}
