//! Tests of answers and requests.

use http_body_util::BodyExt;
use hyper::header::HeaderMap;

use super::*;
use crate::client::Cut;

const SECRET: &str = "s3cr3t/+ &";

fn credentials() -> ClientCredentials {
    ClientCredentials {
        token_url: "https://idp.example/token?tenant=a".to_owned(),
        client_id: "ccrun client:1".to_owned(),
        client_secret: Vec::new(),
        scopes: vec!["otlp:write".to_owned(), "logs".to_owned()],
    }
}

fn answer(status: u16, content_type: &str, body: &str) -> Answer {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
    Answer {
        status: StatusCode::from_u16(status).unwrap(),
        headers,
        body: Bytes::copy_from_slice(body.as_bytes()),
        ..Answer::default()
    }
}

fn json(status: u16, body: &str) -> Result<Fetched, Refusal> {
    read(&answer(status, "application/json", body), &shown(&credentials(), SECRET))
}

#[test]
fn tokens_and_their_lifetimes() {
    let cases = [
        // The example of RFC 6749, 4.4.3.
        (r#"{"access_token":"2YotnFZFEjr1zCsicMWpAA","token_type":"example","expires_in":3600}"#, None),
        (r#"{"access_token":"t0k","token_type":"Bearer","expires_in":3600}"#, Some(Some(3600))),
        (r#"{"access_token":"t0k","token_type":"bearer","expires_in":"3599"}"#, Some(Some(3599))),
        (r#"{"access_token":"t0k","token_type":"BEARER","expires_in":60.0,"scope":"a"}"#, Some(Some(60))),
        (r#"{"access_token":"t0k","token_type":"Bearer","expires_in":-5}"#, Some(Some(0))),
        (r#"{"access_token":"t0k","token_type":"Bearer","expires_in":1e300}"#, Some(Some(3_153_600_000))),
        (r#"{"access_token":"t0k","token_type":"Bearer","expires_in":"soon"}"#, Some(None)),
        (r#"{"access_token":"t0k","token_type":"Bearer","expires_in":"NaN"}"#, Some(None)),
        (r#"{"access_token":"t0k"}"#, Some(None)),
    ];
    for (body, expected) in cases {
        let fetched = json(200, body).ok().map(|fetched| {
            assert_eq!(fetched.value.expose(), "Bearer t0k");
            fetched.fresh_for.map(|time| time.as_secs())
        });
        assert_eq!(fetched, expected, "{body}");
    }
}

#[test]
fn errors_are_reported_without_the_secret() {
    let cases = [
        (401, r#"{"error":"invalid_client"}"#, true, "401 unauthorized: invalid_client"),
        (
            400,
            r#"{"error":"invalid_client","error_description":"a\u001bb"}"#,
            true,
            r"400 bad request: invalid_client: a\u{1b}b",
        ),
        (400, r#"{"error":"invalid_request"}"#, true, "400 bad request: invalid_request"),
        (400, r#"{"error":"invalid_scope"}"#, false, "400 bad request: invalid_scope"),
        (401, "", true, "401 unauthorized"),
        (403, "no", false, "403 forbidden: no"),
        (200, r#"{"error":"invalid_client"}"#, false, "200 ok: invalid_client"),
        (401, r#"{"error":"no","error_description":"bad s3cr3t/+ &"}"#, true, "401 unauthorized: no: bad <secret>"),
        (500, "s3cr3t%2F%2B+%26 is wrong", false, "500 internal server error: <secret> is wrong"),
        (302, "", false, "302 found, and redirects are not followed"),
        (200, "", false, "200 ok, but the answer is not a JSON object"),
        (200, r#"["t0ken-in-a-list"]"#, false, "200 ok, but the answer is not a JSON object"),
        (200, r#"{"access_token":7}"#, false, "200 ok, but the answer has no `access_token`"),
        (200, r#"{"access_token":""}"#, false, "200 ok, but the answer has no `access_token`"),
        (200, r#"{"access_token":"a\nb"}"#, false, "200 ok, but its `access_token` contains invalid characters"),
        (
            200,
            r#"{"access_token":"t0k","token_type":"DPoP"}"#,
            false,
            "200 ok, but the token's type is `DPoP`, and ccrun supports only `Bearer`",
        ),
    ];
    for (status, body, is_of_client, reason) in cases {
        let refusal = Refusal { reason: reason.to_owned(), is_of_client };
        assert_eq!(json(status, body).unwrap_err(), refusal, "{body}");
    }
    let page = |status| read(&answer(status, "text/html", "<title>Sign in</title>"), &[]).unwrap_err().reason;
    assert_eq!(page(200), "200 ok, but instead of a token: a page of html titled `Sign in`");
    assert_eq!(page(503), "503 service unavailable: a page of html titled `Sign in`");
    let cut = Answer { cut: Some(Cut::TooLong), ..answer(200, "application/json", "{") };
    assert_eq!(read(&cut, &[]).unwrap_err().reason, "200 ok, but the answer was longer than 64 KiB");
}

#[tokio::test]
async fn requests_carry_credentials_in_the_header_or_the_body() {
    let url: Uri = credentials().token_url.parse().unwrap();
    let grant = "grant_type=client_credentials&scope=otlp%3Awrite+logs";
    // `ccrun+client%3A1:s3cr3t%2F%2B+%26`
    let basic = "Basic Y2NydW4rY2xpZW50JTNBMTpzM2NyM3QlMkYlMkIrJTI2";
    let in_body = format!("{grant}&client_id=ccrun+client%3A1&client_secret=s3cr3t%2F%2B+%26");
    for (authentication, authorization, expected) in
        [(ClientAuthentication::Basic, Some(basic), grant), (ClientAuthentication::Body, None, &in_body)]
    {
        let request = request(&url, &credentials(), SECRET, authentication).unwrap();
        assert_eq!((request.method().as_str(), request.uri()), ("POST", &url));
        assert_eq!(request.headers()[CONTENT_TYPE], "application/x-www-form-urlencoded");
        assert!(request.headers().get(AUTHORIZATION).is_none_or(HeaderValue::is_sensitive));
        assert_eq!(request.headers().get(AUTHORIZATION).map(|value| value.to_str().unwrap()), authorization);
        assert_eq!(request.into_body().collect().await.unwrap().to_bytes(), expected);
    }
    let unscoped = ClientCredentials { scopes: Vec::new(), ..credentials() };
    let request = request(&url, &unscoped, SECRET, ClientAuthentication::Basic).unwrap();
    assert_eq!(request.into_body().collect().await.unwrap().to_bytes(), "grant_type=client_credentials");
}
