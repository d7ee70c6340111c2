use super::*;

#[test]
fn user_names_keep_characters_with_a_meaning_out() {
    for bad in ["", "a b", "a\tb", "a:b", "#a", "a,b", "a/b", "a\u{7f}", &"x".repeat(129)] {
        assert!(UserName::new(bad).is_err(), "{bad:?} was taken");
    }
    for good in ["bob", "用户", "a.b-c_d@e", &"x".repeat(128)] {
        assert_eq!(UserName::new(good).unwrap().as_str(), good);
    }
}

#[test]
fn a_personal_channel_names_its_user() {
    let bob = UserName::new("bob").unwrap();
    assert_eq!(ChannelName::personal(&bob).as_str(), "#bob");
    assert_eq!(ChannelName::personal(&bob).personal_user(), Some(bob));
    for other in ["news", "news#1", "#1,2", "#"] {
        assert_eq!(ChannelName::new(other).unwrap().personal_user(), None, "{other}");
    }
}

#[test]
fn stream_epochs_survive_their_spelling() {
    for random in [0, 1, 31, 32, u64::MAX, 0x0123_4567_89ab_cdef] {
        let epoch = StreamEpoch::from_random(random);
        assert_eq!(StreamEpoch::parse(epoch.as_str()), Some(epoch));
    }
    assert_eq!(StreamEpoch::parse("short"), None);
    assert_eq!(StreamEpoch::parse("12345678"), None);
}
