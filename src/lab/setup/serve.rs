//! The network that labs are on, and the registry on it.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use bollard::models::{
    ContainerCreateBody, HostConfig, Ipam, IpamConfig, NetworkCreateRequest, NetworkingConfig, PortBinding,
    RestartPolicy, RestartPolicyNameEnum, VolumeCreateRequest,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, InspectNetworkOptions, StartContainerOptions,
};

use super::build::build;
use super::{NETWORK, Progress, Seen, SetupError, World};
use crate::lab::registry::{NAME, PORT, Registry};
use crate::text::Text;

/// Inside 172.16.0.0/12, since students' own networks live in 192.168.0.0/16 and 10.0.0.0/8; apart from what is used
/// inside labs (172.24.0.0/14, 172.28.0.0/24) and from the engine's own first choices.
const SUBNETS: [&str; 5] = ["172.29.0.0/16", "172.30.0.0/16", "172.31.0.0/16", "172.23.0.0/16", "172.22.0.0/16"];

pub(super) async fn look_network(world: &World) -> Result<Seen, SetupError> {
    let engine = world.engine().await?;
    let found = engine.docker().inspect_network(NETWORK, None::<InspectNetworkOptions>).await;
    match found.map_err(|e| engine.explain(format!("look at the network {NETWORK}"), &e)) {
        Ok(network) => {
            let configs = network.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
            let subnet = configs.into_iter().find_map(|config| config.subnet).unwrap_or_default();
            Ok(Seen::There(Text::same(format!("{NETWORK}, {subnet}"))))
        }
        Err(error) if error.is_missing() => Ok(Seen::Missing(Text::new(
            format!("the labs' network {NETWORK}; `imparcial setup` makes it"),
            format!("la red de los laboratorios {NETWORK}; `imparcial setup` la crea"),
        ))),
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn make_network(world: &World, _progress: &dyn Progress) -> Result<Text, SetupError> {
    let engine = world.engine().await?;
    let named = std::env::var("IMPARCIAL_LABS_SUBNET").ok().filter(|value| !value.is_empty());
    let candidates: Vec<&str> = named.as_deref().map_or(SUBNETS.to_vec(), |subnet| vec![subnet]);
    let mut seen = Vec::new();
    for subnet in candidates {
        let config = IpamConfig { subnet: Some(subnet.to_owned()), ..IpamConfig::default() };
        let request = NetworkCreateRequest {
            name: NETWORK.to_owned(),
            driver: Some("bridge".to_owned()),
            ipam: Some(Ipam { config: Some(vec![config]), ..Ipam::default() }),
            labels: Some(world.labels("").await?),
            ..NetworkCreateRequest::default()
        };
        match engine.docker().create_network(request).await {
            Ok(_) => return Ok(Text::same(format!("{NETWORK}, {subnet}"))),
            Err(error) => seen.push(engine.explain(format!("make {NETWORK} with {subnet}"), &error).to_string()),
        }
    }
    Err(SetupError::new(
        Text::new("make the labs' network", "crear la red de los laboratorios"),
        seen.join("\n"),
        Text::new(
            "Name a free subnet in IMPARCIAL_LABS_SUBNET (not inside 172.24.0.0/14, which labs use themselves) and run `imparcial setup` again.",
            "Indique una subred libre en IMPARCIAL_LABS_SUBNET (fuera de 172.24.0.0/14, que usan los laboratorios) y ejecute `imparcial setup` otra vez.",
        ),
    ))
}

pub(super) async fn look_registry(world: &World) -> Result<Seen, SetupError> {
    let images = world.images().await?;
    let missing = Ok(Seen::Missing(Text::new(
        "the registry that serves stand-ins to labs; `imparcial setup` starts it",
        "el registro que sirve sustitutos a los laboratorios; `imparcial setup` lo arranca",
    )));
    let Some(image) = world.current(&images, "registry") else { return missing };
    let engine = world.engine().await?;
    let found = engine.docker().inspect_container(NAME, None::<InspectContainerOptions>).await;
    let found = match found.map_err(|e| engine.explain("look at the registry", &e)) {
        Ok(found) => found,
        Err(error) if error.is_missing() => return missing,
        Err(error) => return Err(error.into()),
    };
    let running = found.state.and_then(|state| state.running).unwrap_or_default();
    if !running || found.image.as_deref() != Some(image.id.as_str()) {
        return missing;
    }
    match Registry::of(engine).await {
        Ok(registry) if registry.answers().await => {
            let at = registry.address();
            Ok(Seen::There(Text::new(format!("answers at {at}"), format!("responde en {at}"))))
        }
        _ => missing,
    }
}

pub(super) async fn make_registry(world: &World, progress: &dyn Progress) -> Result<Text, SetupError> {
    let engine = world.engine().await?;
    if world.current(&world.images().await?, "registry").is_none() {
        progress.begin("registry", &Text::new("building its image", "construyendo su imagen"));
        build(world, "registry", &[], progress).await?;
    }
    // What it holds lies in a volume, so that the container itself can be made anew.
    engine.remove(NAME).await?;
    let labels = world.labels("").await?;
    let volume = VolumeCreateRequest { name: Some(NAME.into()), labels: Some(labels.clone()), ..Default::default() };
    engine.docker().create_volume(volume).await.map_err(|e| engine.explain("make the registry's volume", &e))?;
    let binding = PortBinding { host_ip: Some("127.0.0.1".into()), host_port: Some(String::new()) };
    let body = ContainerCreateBody {
        image: Some("imparcial/registry:latest".into()),
        hostname: Some(NAME.into()),
        labels: Some(labels),
        exposed_ports: Some(vec![PORT.into()]),
        host_config: Some(HostConfig {
            binds: Some(vec![format!("{NAME}:/var/lib/registry")]),
            network_mode: Some(NETWORK.into()),
            port_bindings: Some(HashMap::from([(PORT.to_owned(), Some(vec![binding]))])),
            restart_policy: Some(RestartPolicy {
                name: Some(RestartPolicyNameEnum::UNLESS_STOPPED),
                maximum_retry_count: None,
            }),
            ..HostConfig::default()
        }),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some(HashMap::from([(NETWORK.to_owned(), Default::default())])),
        }),
        ..ContainerCreateBody::default()
    };
    let options = CreateContainerOptionsBuilder::new().name(NAME).build();
    let made = engine.docker().create_container(Some(options), body).await;
    made.map_err(|e| engine.explain("create the registry", &e))?;
    let started = engine.docker().start_container(NAME, None::<StartContainerOptions>).await;
    started.map_err(|e| engine.explain("start the registry", &e))?;
    let registry = Registry::of(engine).await?;
    let began = Instant::now();
    while !registry.answers().await {
        if began.elapsed() > Duration::from_secs(20) {
            let log = engine.logs(NAME, None, Some(12)).await.unwrap_or_default();
            return Err(SetupError::new(
                Text::new("start the registry of stand-ins", "arrancar el registro de sustitutos"),
                format!("it does not answer at {}\n{log}", registry.address()),
                Text::new("Run `imparcial setup` again.", "Ejecute `imparcial setup` otra vez."),
            ));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let at = registry.address();
    Ok(Text::new(format!("started, answers at {at}"), format!("arrancado, responde en {at}")))
}
