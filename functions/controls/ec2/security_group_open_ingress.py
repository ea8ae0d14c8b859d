"""Security groups do not expose the ports of administrators to the internet."""

from __future__ import annotations

import json
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from evenkeel.control import (
    Aws,
    Call,
    Change,
    CloudTrail,
    Compliant,
    Config,
    Context,
    Control,
    Frameworks,
    Grant,
    Judgement,
    Mode,
    NonCompliant,
    NotApplicable,
    ParameterProblem,
    Place,
    Severity,
    Stage,
    State,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from ipaddress import IPv4Network, IPv6Network

_RULE = "arn:{partition}:ec2:{region}:{account}:security-group-rule/*"
_ALL = "all"
_ALL_PROTOCOLS = "-1"
_WITH_PORTS = {"6": "tcp", "tcp": "tcp", "17": "udp", "udp": "udp"}
_LAST_PORT = 65535
# IANA never assigned more than an IPv4 /8 to one organization or an IPv6 /12 to one registry (IANA's address space
# registries), so anything wider is "anywhere": one rule for 0.0.0.0/0, or two for 0.0.0.0/1 and 128.0.0.0/1.
_WIDEST = {4: 8, 6: 12}
_NOT_INTERNET = (ip_network("fc00::/7"), ip_network("fe80::/10"))  # RFC 4193 and RFC 4291: not routed there
_KEPT = ("SecurityGroupRuleId", "IpProtocol", "FromPort", "ToPort", "CidrIpv4", "CidrIpv6", "Description")
_RESIDUE = "restored rules get new ids"
_TAGS_BYTES = 20_000  # of all rules: 60 of each IP version (the default quota) and these fit into a record
_NAMED = 5  # rules in a reason; the record holds all


class SecurityGroupOpenIngress(Control):
    """Security groups do not allow traffic from anywhere to ports 22 and 3389, or to all ports.

    Why: attackers find open SSH and RDP ports within minutes and keep trying passwords. "Anywhere" is every block wider
        than an IPv4 /8 or an IPv6 /12, since half of the internet is as bad as all of it. The parameter `allowed` names
        blocks that may reach a port, as in {"22": ["0.0.0.0/0"]}, or all ports ("all"); for a single group, set it in
        an override.
    Blast radius: a rule is revoked as a whole, with every other port it covers, so everything that connects through it
        is cut off at once. Other rules are never touched. Rules that name a prefix list or a security group are not
        checked.
    Cost: none.
    Undo: the rules are restored with their description and tags, under new ids; tags beyond 20 kB are not kept.
    Mode: notify, since everything that connects through a rule is cut off when it is revoked.
    Runbook: ask the principal in the alert who needs the port, and from which addresses. `aws ec2
        describe-security-group-rules --filters Name=group-id,Values=GROUP` lists the rules. Add a rule for those
        addresses only, then revoke the open one with the command in the alert. If a port is public on purpose, list it
        in the parameter `allowed` rather than exempting the whole group.
    """

    severity = Severity.HIGH
    default_mode = Mode.NOTIFY
    reference = "https://docs.aws.amazon.com/vpc/latest/userguide/security-group-rules.html"
    state_has_ids = True
    resource_type = "AWS::EC2::SecurityGroup"
    arn = "arn:{partition}:ec2:{region}:{account}:security-group/{id}"
    frameworks = Frameworks(
        security_hub=("EC2.13", "EC2.14", "EC2.53", "EC2.54"),
        cis_3_0="5.2, 5.3",
        nist_800_53=(
            *("AC-4", "AC-4(21)", "CA-9(1)", "CM-2", "CM-2(2)", "CM-7", "SC-7", "SC-7(4)", "SC-7(5)", "SC-7(11)"),
            *("SC-7(16)", "SC-7(21)"),
        ),
        config_rule="vpc-sg-port-restriction-check",
    )
    triggers = (
        # In a default VPC a call may give only the group's name; the answer has its id.
        CloudTrail(
            "ec2.amazonaws.com",
            ("AuthorizeSecurityGroupIngress",),
            at="requestParameters.groupId || responseElements.securityGroupRuleSet.items[].groupId",
            weakens=True,
        ),
        CloudTrail(
            "ec2.amazonaws.com",
            ("ModifySecurityGroupRules",),
            at="requestParameters.ModifySecurityGroupRulesRequest.GroupId",
            weakens=True,
        ),
        Config("AWS::EC2::SecurityGroup"),
    )
    permissions = (
        Grant(
            Stage.READ,
            ("ec2:DescribeSecurityGroupRules",),
            on=("*",),
            why="ec2:DescribeSecurityGroupRules supports no resource-level permission",
        ),
        Grant(Stage.APPLY, ("ec2:RevokeSecurityGroupIngress",)),
        # A rule that is created with tags is a resource of the call as well (EC2 user guide, "Grant permission to tag
        # Amazon EC2 resources during creation").
        Grant(Stage.UNDO, ("ec2:AuthorizeSecurityGroupIngress",), on=(arn.replace("{id}", "*"), _RULE)),
        Grant(Stage.UNDO, ("ec2:CreateTags",), on=(_RULE,)),
        Grant(
            Stage.DISCOVER,
            ("ec2:DescribeSecurityGroups",),
            on=("*",),
            why="ec2:DescribeSecurityGroups supports no resource-level permission",
        ),
    )
    urgent = True
    parameters = {"ports": [22, 3389], "allowed": {}}
    # If one of several rules was removed since the read, AWS revokes none of them, and they must be read again.
    busy_codes = frozenset({"InvalidSecurityGroupRuleId.NotFound", "InvalidPermission.NotFound"})
    gone_codes = frozenset({"InvalidGroup.NotFound"})
    done_codes = frozenset({"InvalidPermission.Duplicate"})  # the rule exists (EC2 API reference, "Error codes")

    def check_parameters(self, parameters: Mapping[str, Any]) -> ParameterProblem | None:
        """Require valid ports, and valid networks that may reach each of them; ``all`` means every port."""
        ports, allowed = parameters["ports"], parameters["allowed"]
        if not all(type(port) is int and 0 <= port <= _LAST_PORT for port in ports):
            return ParameterProblem(
                "ports", f"{ports!r} is not accepted", f"write a list of whole numbers from 0 to {_LAST_PORT}"
            )
        for port, networks in allowed.items():
            if port not in {_ALL, *map(str, ports)}:
                return ParameterProblem(
                    "allowed", "is not one of ports", f'write a port of that list, or "{_ALL}"', port
                )
            if not isinstance(networks, list) or not all(_is_network(network) for network in networks):
                hint = 'write a list of CIDR blocks, e.g. ["0.0.0.0/0"]'
                return ParameterProblem("allowed", f"{networks!r} is not accepted", hint, port)
        return None

    def read(self, aws: Aws, context: Context) -> State:
        """Read the group's rules and keep the open ones; a group without rules, or a deleted one, has none."""
        found: list[dict[str, Any]] = []
        owner = ""
        filters = [{"Name": "group-id", "Values": [_group(context)]}]
        for page in aws.pages(
            "ec2", "describe_security_group_rules", Filters=filters, PaginationConfig={"PageSize": 1000}
        ):
            for rule in page["SecurityGroupRules"]:
                owner = owner or rule.get("GroupOwnerId", "")
                if not rule["IsEgress"] and _opens(rule, context):
                    found.append(_kept(rule))
        return {"GroupOwnerId": owner, "OpenRules": list(_bounded(sorted(found, key=_content)))}

    def judge(self, state: State, context: Context) -> Judgement:
        """Find rules that are open from anywhere; each is revoked by its own id, so no other rule can be hit."""
        rules = [rule for rule in state["OpenRules"] if _opens(rule, context)]
        if not rules:
            return Compliant()
        if state["GroupOwnerId"] != context.resource.account:
            return NotApplicable(f"the group belongs to account {state['GroupOwnerId']}, which shares it")
        ids = [rule["SecurityGroupRuleId"] for rule in rules]
        revoke = Call("ec2", "revoke_security_group_ingress", {"GroupId": _group(context), "SecurityGroupRuleIds": ids})
        named = [f"{_ports(rule)} from {_source(rule)}" for rule in rules[:_NAMED]]
        more = f" and {len(rules) - _NAMED} more" if len(rules) > _NAMED else ""
        reason = f"open from anywhere: {', '.join(named)}{more}"
        bare = sum("TagsLeftOut" in rule for rule in rules)
        residue = f"{_RESIDUE}, and {bare} of them lose their tags, which are too large to record" if bare else _RESIDUE
        return NonCompliant(reason, Change((revoke,), tuple(_put_back(rules, context)), residue))

    def essence(self, state: State) -> Any:
        """Compare the content of the open rules; AWS gives a restored rule a new id."""
        return sorted(_content(rule) for rule in state["OpenRules"])

    def discover(self, aws: Aws, place: Place) -> Iterator[str]:
        """List the account's own groups; groups that other accounts share with it are theirs to fix."""
        for page in aws.pages("ec2", "describe_security_groups", PaginationConfig={"PageSize": 1000}):
            own = (group["GroupId"] for group in page["SecurityGroups"] if group["OwnerId"] == place.account)
            yield from (place.arn(self.arn, group) for group in own)


def _group(context: Context) -> str:
    """Return the group's id, as requested: calls never name the resource of a recorded state."""
    return context.resource.name.removeprefix("security-group/")


def _is_network(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(ip_network(value))
    except ValueError:
        return False


def _source(rule: Mapping[str, Any]) -> str:
    """Return the address block that a rule admits; empty if it names a group or prefix list."""
    return str(rule.get("CidrIpv4") or rule.get("CidrIpv6") or "")


def _opens(rule: Mapping[str, Any], context: Context) -> bool:
    """Return whether a rule opens to anybody what the settings forbid."""
    source = _source(rule)
    if not source:
        return False
    network = ip_network(source, strict=False)
    if network.prefixlen >= _WIDEST[network.version] or any(_within(network, each) for each in _NOT_INTERNET):
        return False
    return any(not _allowed(port, network, context) for port in _forbidden(rule, context))


def _within(network: IPv4Network | IPv6Network, other: IPv4Network | IPv6Network) -> bool:
    return network.version == other.version and network.subnet_of(other)  # type: ignore[arg-type]  # the same version


def _allowed(port: str, network: IPv4Network | IPv6Network, context: Context) -> bool:
    allowed = context.parameters["allowed"]
    blocks = [*allowed.get(port, ()), *allowed.get(_ALL, ())]
    return any(_within(network, ip_network(block)) for block in blocks)


def _range(rule: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return the first and last port of a rule, or None if its protocol has no ports.

    Only TCP and UDP have ports; -1 is every protocol (EC2 API reference, SecurityGroupRule).
    """
    if rule["IpProtocol"] == _ALL_PROTOCOLS:
        return 0, _LAST_PORT
    return (rule["FromPort"], rule["ToPort"]) if rule["IpProtocol"] in _WITH_PORTS else None


def _forbidden(rule: Mapping[str, Any], context: Context) -> list[str]:
    """Return which ports of a rule must not be open from anywhere: ``all``, or a list."""
    covered = _range(rule)
    if covered is None:
        return []
    first, last = covered
    if first <= 1 and last == _LAST_PORT:  # nothing listens on port 0
        return [_ALL]
    return [str(port) for port in context.parameters["ports"] if first <= port <= last]


def _ports(rule: Mapping[str, Any]) -> str:
    """Return a rule's ports as people write them."""
    if rule["IpProtocol"] == _ALL_PROTOCOLS:
        return "all protocols and ports"
    first, last = rule["FromPort"], rule["ToPort"]
    return f"{_WITH_PORTS[rule['IpProtocol']]} {first if first == last else f'{first}-{last}'}"


def _kept(rule: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is needed to create a rule again, without AWS's own tags, which nobody else can set."""
    tags = {tag["Key"]: tag["Value"] for tag in rule.get("Tags", ()) if not tag["Key"].startswith("aws:")}
    return {name: rule[name] for name in _KEPT if rule.get(name) not in {None, ""}} | {"Tags": tags}


def _bounded(rules: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield rules with their tags while there is room; sorted rules lose the same tags at every read."""
    room = _TAGS_BYTES
    for rule in rules:
        size = len(json.dumps(rule["Tags"], ensure_ascii=False).encode()) if rule["Tags"] else 0
        if size <= room:
            room -= size
            yield rule
        else:
            yield rule | {"Tags": {}, "TagsLeftOut": len(rule["Tags"])}


def _content(rule: Mapping[str, Any]) -> list[Any]:
    """Return everything about a rule except its id, in a form that can be sorted."""
    first, last = _range(rule) or (0, 0)
    return [rule["IpProtocol"], first, last, _source(rule), rule.get("Description", ""), sorted(rule["Tags"].items())]


def _put_back(rules: list[dict[str, Any]], context: Context) -> Iterator[Call]:
    """Yield the calls that create the rules again: one for each set of tags, since a call tags all its rules alike."""
    tagged: dict[tuple[tuple[str, str], ...], list[dict[str, Any]]] = {}
    for rule in rules:
        tagged.setdefault(tuple(sorted(rule["Tags"].items())), []).append(rule)
    for tags, alike in tagged.items():
        params = {"GroupId": _group(context), "IpPermissions": [_permission(rule) for rule in alike]}
        if tags:
            listed = [{"Key": key, "Value": value} for key, value in tags]
            params["TagSpecifications"] = [{"ResourceType": "security-group-rule", "Tags": listed}]
        yield Call("ec2", "authorize_security_group_ingress", params)


def _permission(rule: Mapping[str, Any]) -> dict[str, Any]:
    described = {"Description": rule["Description"]} if "Description" in rule else {}
    if "CidrIpv4" in rule:
        block: dict[str, Any] = {"IpRanges": [{"CidrIp": rule["CidrIpv4"], **described}]}
    else:
        block = {"Ipv6Ranges": [{"CidrIpv6": rule["CidrIpv6"], **described}]}
    ports = {} if rule["IpProtocol"] == _ALL_PROTOCOLS else {"FromPort": rule["FromPort"], "ToPort": rule["ToPort"]}
    return {"IpProtocol": rule["IpProtocol"], **ports, **block}
