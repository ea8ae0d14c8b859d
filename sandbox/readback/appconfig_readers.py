"""Readers of AppConfig's resources, by the ids that the template names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.readback.services import as_list

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.readback.services import Properties, World


def _tags(world: World, path: str) -> list[dict[str, str]]:
    place = world.sandbox
    arn = f"arn:aws:appconfig:{place.region}:{place.account}:{path}"
    return as_list(world("appconfig").list_tags_for_resource(ResourceArn=arn)["Tags"])


def _application(world: World, identifier: str, _: Properties) -> Properties:
    found = world("appconfig").get_application(ApplicationId=identifier)
    return {**found, "Tags": _tags(world, f"application/{identifier}")}


def _environment(world: World, identifier: str, claimed: Properties) -> Properties:
    application = claimed["ApplicationId"]
    found = world("appconfig").get_environment(ApplicationId=application, EnvironmentId=identifier)
    return {**found, "Tags": _tags(world, f"application/{application}/environment/{identifier}")}


def _profile(world: World, identifier: str, claimed: Properties) -> Properties:
    application = claimed["ApplicationId"]
    found = world("appconfig").get_configuration_profile(ApplicationId=application, ConfigurationProfileId=identifier)
    return {**found, "Tags": _tags(world, f"application/{application}/configurationprofile/{identifier}")}


def _strategy(world: World, identifier: str, _: Properties) -> Properties:
    found = world("appconfig").get_deployment_strategy(DeploymentStrategyId=identifier)
    return {**found, "Tags": _tags(world, f"deploymentstrategy/{identifier}")}


READERS: dict[str, Callable[[World, str, Properties], Properties]] = {
    "AWS::AppConfig::Application": _application,
    "AWS::AppConfig::ConfigurationProfile": _profile,
    "AWS::AppConfig::DeploymentStrategy": _strategy,
    "AWS::AppConfig::Environment": _environment,
}
