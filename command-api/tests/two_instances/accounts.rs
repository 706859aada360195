//! Logging in and staying logged in, however a login is spelled and however often an answer is lost.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::{Value, json};
use servers::until::until;
use shared::domain::clock::Clock;

use crate::pair::{Answer, Pair, TestRequest, Tokens};

/// Tabs of one browser, each with a copy of the token.
const TABS: usize = 8;
/// How often each of them asks for the next one.
const TURNS: usize = 6;

async fn register(pair: &Pair, account: Value) -> Answer {
    pair.send(0, TestRequest::post("/auth/register", &account)).await
}

async fn login(pair: &Pair, login: &str, password: &str) -> Answer {
    pair.send(0, TestRequest::post("/auth/login", &json!({"login": login, "password": password}))).await
}

async fn turn(pair: &Pair, instance: usize, token: &Tokens) -> Result<Tokens, Answer> {
    let body = json!({"refresh_token": token.refresh});
    let answer = pair.send(instance, TestRequest::post("/auth/refresh", &body)).await;
    if answer.status == 200 { Ok(Tokens::from(&answer.body)) } else { Err(answer) }
}

async fn alive(pair: &Pair, token: &Tokens) -> bool {
    let answer = pair.send(1, TestRequest::patch("/me", &json!({"first_name": "Ada"})).by(token)).await;
    answer.status == 200
}

/// Lets all rotations be so many seconds longer ago.
pub(crate) async fn pass(pair: &Pair, seconds: i32) {
    sqlx::query(
        "update es.session set rotated_at = array(select at - make_interval(secs => $1)
                                                    from unnest(rotated_at) with ordinality r(at, nth) order by nth)",
    )
    .bind(f64::from(seconds))
    .execute(&pair.owner)
    .await
    .expect("rows");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_has_one_allowance_for_all_its_names_and_spellings() {
    let pair = Pair::start().await;
    let right = "correct horse";
    let zoe = json!({"email": "zo\u{eb}@b\u{fc}cher.example", "username": "zo\u{eb}", "password": right});
    assert_eq!(register(&pair, zoe).await.status, 201);
    let spellings = [
        "zo\u{eb}",
        " zo\u{eb}",
        "zo\u{eb}\n",
        "\u{a0}zo\u{eb}\u{2003}",
        "ZO\u{cb}",
        "zoe\u{308}",
        "ｚｏ\u{eb}",
        "zo\u{eb}@b\u{fc}cher.example",
        "\tZOE\u{308}@BU\u{308}CHER.example ",
        "zo\u{eb}＠xn--bcher-kva.example",
    ];
    has_one_allowance(&pair, &spellings, 200).await;
    // A name that has no account has one too.
    has_one_allowance(&pair, &["eve", " eve", "EVE ", "ｅve", "eve\t"], 401).await;
    login(&pair, "eva", right).await.is_refused(401, "login-wrong");
    pair.stop().await;
}

/// Sixty attempts in turn, of which few get past the throttle and are answered with `status`.
async fn has_one_allowance(pair: &Pair, spellings: &[&str], status: u16) {
    let (begun, mut taken) = (Instant::now(), 0);
    for spelling in spellings.iter().cycle().take(60) {
        let answer = login(pair, spelling, "correct horse").await;
        if answer.status == status {
            taken += 1;
        } else {
            answer.is_refused(429, "too-many-attempts");
            assert!(answer.number("retry_after") >= 1, "{answer:?}");
        }
    }
    // Ten at once, and one more for every six seconds that this took.
    let most = 10 + begun.elapsed().as_secs() / 6 + 1;
    assert!((10..=most).contains(&taken), "{taken} attempts got past, and {most} may");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_taken_in_every_spelling() {
    let pair = Pair::start().await;
    let account = |email: &str, username: &str| json!({"email": email, "username": username, "password": "correct horse"});
    assert_eq!(register(&pair, account("zo\u{eb}@b\u{fc}cher.example", "zo\u{eb}")).await.status, 201);
    for email in [" ZOE\u{308}@b\u{fc}cher.example", "zo\u{eb}@XN--bcher-kva.example"] {
        register(&pair, account(email, "other")).await.is_refused(409, "email-taken");
    }
    for username in ["Zo\u{eb} ", "zoe\u{308}", "ｚｏ\u{eb}"] {
        register(&pair, account("other@example.org", username)).await.is_refused(409, "username-taken");
    }
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_set_composed_is_right_when_typed_decomposed() {
    let pair = Pair::start().await;
    let account = json!({"email": "ada@example.org", "username": "ada", "password": "caf\u{e9} na\u{ef}ve"});
    assert_eq!(register(&pair, account).await.status, 201);
    for password in ["caf\u{e9} na\u{ef}ve", "cafe\u{301} nai\u{308}ve", "caf\u{e9}\u{a0}na\u{ef}ve"] {
        assert_eq!(login(&pair, "ada", password).await.status, 200, "{password:?}");
    }
    login(&pair, "ada", "cafe naive").await.is_refused(401, "login-wrong");
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_name_of_a_device_is_cut_to_one_line_that_can_be_seen() {
    let pair = Pair::start().await;
    let ada = pair.person("ada").await;
    for device in ["\u{202e}lap\ntop\u{2066}", "\u{200b}", "", &"a".repeat(5_000), &"\u{301}".repeat(100_000)]
    {
        let body = json!({"login": "ada", "password": "correct horse", "device": device});
        assert_eq!(pair.send(1, TestRequest::post("/auth/login", &body)).await.status, 200, "{device:.20}");
    }
    let devices: Vec<String> =
        sqlx::query_scalar("select device from es.session where user_id = $1 order by session_id")
            .bind(&ada.user)
            .fetch_all(&pair.owner)
            .await
            .expect("rows");
    assert_eq!(devices, ["", "lap top", "", "", &"a".repeat(200), ""]);
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_within_its_grace_gets_the_newest_one_and_later_ends_the_session() {
    let pair = Pair::start().await;
    let first = pair.person("ada").await;
    let second = turn(&pair, 0, &first).await.expect("good");
    pass(&pair, 6).await;
    let third = turn(&pair, 1, &second).await.expect("good");
    for (instance, token) in [(0, &first), (1, &first), (0, &second), (1, &first)] {
        let repeated = turn(&pair, instance, token).await.expect("its answer may have been lost");
        assert_eq!(repeated.refresh, third.refresh, "all end with the same one");
        assert_eq!(repeated.user, first.user);
    }
    let fourth = turn(&pair, 0, &third).await.expect("the newest one is good");
    assert_eq!(turn(&pair, 1, &first).await.expect("still in its grace").refresh, fourth.refresh);
    // The first was replaced eleven seconds ago, the second five.
    pass(&pair, 5).await;
    assert_eq!(turn(&pair, 0, &second).await.expect("still in its grace").refresh, fourth.refresh);
    assert!(alive(&pair, &fourth).await);
    turn(&pair, 0, &first).await.expect_err("too old").is_refused(401, "refresh-invalid");
    for token in [&first, &second, &third, &fourth] {
        assert!(!alive(&pair, token).await);
        turn(&pair, 1, token).await.expect_err("its session ended").is_refused(401, "refresh-invalid");
    }
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_number_of_tabs_loses_the_session() {
    let pair = Pair::start().await;
    let first = pair.person("ada").await;
    let tab = async |nth: usize| {
        let mut token = first.clone();
        for round in 0..TURNS {
            token = turn(&pair, (nth + round) % 2, &token).await.expect("good, or replaced a moment ago");
        }
        token
    };
    let tokens = join_all((0..TABS).map(tab)).await;
    for token in &tokens {
        assert!(alive(&pair, token).await);
    }
    let newest = join_all(tokens.iter().map(|token| turn(&pair, 0, token))).await;
    let after: Vec<Tokens> = newest.into_iter().map(|token| token.expect("good")).collect();
    let last = turn(&pair, 1, &after[0]).await.expect("good");
    assert_eq!(turn(&pair, 0, &first).await.expect("still in its grace").refresh, last.refresh);
    // A thief who comes later ends it for all.
    pass(&pair, 11).await;
    turn(&pair, 0, &first).await.expect_err("too old").is_refused(401, "refresh-invalid");
    assert!(!alive(&pair, &last).await);
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_goes_by_the_clock_of_postgres_whatever_the_instances_say() {
    let clocks = [-50, 50].map(|minutes| Clock::Fixed(Clock::System.now() + TimeDelta::minutes(minutes)));
    let pair = Pair::by(clocks).await;
    pair.person("ada").await;
    for instance in [0, 1] {
        let token = pair.login(instance, "ada").await;
        let next = turn(&pair, instance, &token).await.expect("good");
        for other in [0, 1] {
            assert_eq!(turn(&pair, other, &token).await.expect("in its grace").refresh, next.refresh);
        }
        let left = "select bool_and(expires_at - clock_timestamp() between '30 days -1 minute' and '30 days')
                      from es.session";
        assert!(sqlx::query_scalar::<_, bool>(left).fetch_one(&pair.owner).await.expect("sessions"));
        pass(&pair, 11).await;
        turn(&pair, 1 - instance, &token).await.expect_err("too old").is_refused(401, "refresh-invalid");
    }
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_was_set_back_does_not_lengthen_the_grace() {
    let pair = Pair::start().await;
    let first = pair.person("ada").await;
    let second = turn(&pair, 0, &first).await.expect("good");
    // A moment later, the clock says nine seconds before the rotation.
    pass(&pair, -9).await;
    assert_eq!(turn(&pair, 1, &first).await.expect("a small correction").refresh, second.refresh);
    pass(&pair, -3_600).await;
    turn(&pair, 1, &first).await.expect_err("nobody knows how old it is").is_refused(401, "refresh-invalid");
    turn(&pair, 0, &second).await.expect_err("its session ended").is_refused(401, "refresh-invalid");
    pair.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_session_counts_as_ended() {
    let pair = Pair::start().await;
    let token = pair.person("ada").await;
    assert!(alive(&pair, &token).await);
    sqlx::query("update es.session set expires_at = now()").execute(&pair.owner).await.expect("rows");
    turn(&pair, 0, &token).await.expect_err("it expired").is_refused(401, "refresh-invalid");
    let change = TestRequest::patch("/me", &json!({"first_name": "Ada"})).by(&token);
    for instance in [0, 1] {
        let refused = async || {
            let answer = pair.send(instance, change.clone()).await;
            Ok((answer.status != 200).then_some(answer))
        };
        let answer = until(Duration::from_secs(30), "hearing of the end", refused).await.expect("a refusal");
        answer.is_refused(401, "session-ended");
    }
    pair.stop().await;
}
