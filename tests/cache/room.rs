//! `cache.max_size`: the least recently used goes, and nothing of the run under way.

use super::*;

const SIZE: usize = 1_000_000;

fn package(number: usize) -> String {
    format!("/debian/pool/main/p/p{number}_1.0_all.deb")
}

fn stored(larder: &Larder) -> Vec<usize> {
    let listed = larder.run(["cache", "ls", "--json"]).expect(0).stdout;
    (0..8).filter(|&number| listed.contains(&package(number))).collect()
}

fn fetch_numbers(larder: &Larder, origin: &Origin, numbers: &[usize], more: &[&str]) -> Run {
    let paths: Vec<String> = numbers.iter().map(|&number| package(number)).collect();
    fetch_with(larder, origin, &paths.iter().map(String::as_str).collect::<Vec<_>>(), more).expect(0)
}

#[test]
fn what_was_used_least_recently_goes() {
    let paths: Vec<String> = (0..8).map(package).collect();
    let files: Vec<_> =
        paths.iter().zip(0_u8..).map(|(path, number)| (path.as_str(), "", vec![number; SIZE])).collect();
    let (larder, origin) = (Larder::new(), Origin::serving(&files));
    let _ = fetch_numbers(&larder, &origin, &[0, 1, 2, 3], &[]);
    // Serving 0 makes 1 the one that was not used for longest.
    let _ = fetch_numbers(&larder, &origin, &[0], &[]);
    larder.write(".config/larder/config.toml", "[cache]\nmax_size = \"5M\"\n");
    let _ = fetch_numbers(&larder, &origin, &[4], &[]);
    assert_eq!(stored(&larder), [0, 1, 2, 3, 4], "all of it fits");
    let _ = fetch_numbers(&larder, &origin, &[5], &[]);
    assert_eq!(stored(&larder), [0, 3, 4, 5], "a little more than needed goes");
    let _ = larder.run(["cache", "verify"]).expect(0);
    // A run that needs more than the limit keeps all of it, for as long as it lasts.
    let run = fetch_numbers(&larder, &origin, &[0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6], &[]);
    assert!(outcomes(&run)[7..].iter().all(|outcome| outcome == "HIT"), "{:?}", outcomes(&run));
    assert_eq!(stored(&larder), [0, 1, 2, 3, 4, 5, 6]);
    let _ = fetch_numbers(&larder, &origin, &[7], &[]);
    assert!(stored(&larder).len() <= 5 && stored(&larder).contains(&7), "{:?}", stored(&larder));
    let _ = larder.run(["cache", "verify"]).expect(0);
}
