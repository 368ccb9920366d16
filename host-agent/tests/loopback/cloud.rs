//! The metadata services of the clouds, faked.

use gaugeway_agent::price::{Instance, Market, Metadata, Provider};

use super::fake_envoy::{Answer, FakeEnvoy};

fn instance(provider: Provider, instance_type: &str, region: &str, market: Market) -> Instance {
    Instance {
        provider: Some(provider),
        instance_type: instance_type.to_owned(),
        region: Some(region.to_owned()),
        market: Some(market),
    }
}

fn pages(pages: &[(&'static str, &str)]) -> Answer {
    Answer::ByPath(pages.iter().map(|(path, text)| (*path, (*text).to_owned())).collect())
}

#[tokio::test]
async fn aws_gives_a_token_first() {
    let mut service = FakeEnvoy::tcp(pages(&[
        ("PUT /latest/api/token ", "AQAEAL-token=="),
        ("GET /latest/meta-data/instance-type ", "p5.48xlarge"),
        ("GET /latest/meta-data/placement/region ", "us-east-1"),
        ("GET /latest/meta-data/instance-life-cycle ", "spot"),
    ]))
    .await;
    let found = Metadata::at(Provider::Aws, service.address.clone()).instance().await.unwrap();
    assert_eq!(found, instance(Provider::Aws, "p5.48xlarge", "us-east-1", Market::Spot));
    let token = service.request().await;
    assert!(token.contains("x-aws-ec2-metadata-token-ttl-seconds: 60\r\n"), "{token}");
    for _ in 0..3 {
        let request = service.request().await;
        assert!(request.contains("x-aws-ec2-metadata-token: AQAEAL-token==\r\n"), "{request}");
        assert!(request.contains("host: 169.254.169.254\r\n"), "{request}");
    }
}

#[tokio::test]
async fn gcp_and_azure() {
    let mut service = FakeEnvoy::tcp(pages(&[
        ("GET /computeMetadata/v1/instance/machine-type ", "projects/7/machineTypes/a3-highgpu-8g"),
        ("GET /computeMetadata/v1/instance/zone ", "projects/7/zones/us-central1-a\n"),
        ("GET /computeMetadata/v1/instance/scheduling/preemptible ", "FALSE"),
    ]))
    .await;
    let found = Metadata::at(Provider::Gcp, service.address.clone()).instance().await.unwrap();
    assert_eq!(found, instance(Provider::Gcp, "a3-highgpu-8g", "us-central1", Market::OnDemand));
    assert!(service.request().await.contains("metadata-flavor: Google\r\n"));

    let mut service = FakeEnvoy::tcp(pages(&[(
        "GET /metadata/instance/compute?api-version=2021-02-01 ",
        r#"{"vmSize":"Standard_NC40ads_H100_v5","location":"eastus","priority":"Spot","x":1}"#,
    )]))
    .await;
    let found = Metadata::at(Provider::Azure, service.address.clone()).instance().await.unwrap();
    let expected = instance(Provider::Azure, "Standard_NC40ads_H100_v5", "eastus", Market::Spot);
    assert_eq!(found, expected);
    assert!(service.request().await.contains("metadata: true\r\n"));
}

#[tokio::test]
async fn redirects_garbage_and_floods_are_no_instance() {
    let garbage = "x".repeat(5_000);
    for answer in [
        Answer::Raw(
            b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
                .to_vec(),
        ),
        Answer::response("401 Unauthorized", ""),
        Answer::page(""),
        Answer::page("two\nlines"),
        Answer::page(&garbage),
        Answer::Endless,
        Answer::Raw(b"garbage".to_vec()),
    ] {
        for provider in [Provider::Aws, Provider::Gcp, Provider::Azure] {
            let service = FakeEnvoy::tcp(answer.clone()).await;
            let metadata = Metadata::at(provider, service.address.clone());
            assert!(metadata.instance().await.is_err());
        }
    }
}

/// A hop limit of one looks like this from a container: the connection stands, no answer comes.
#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_answer_costs_a_second() {
    let service = FakeEnvoy::tcp(Answer::Silence).await;
    let metadata = Metadata::at(Provider::Aws, service.address.clone());
    let error = metadata.instance().await.unwrap_err().to_string();
    assert!(
        error.contains("aws metadata /latest/api/token: no complete answer within 1s"),
        "{error}"
    );
}
