"""Makes instances, volumes and NAT gateways for tests."""

from __future__ import annotations

from tests.world import ACCOUNT, REGION, client

PLACE = f"arn:aws:ec2:{REGION}:{ACCOUNT}"


def instance(name: str = "orders") -> str:
    """Make an instance; return its ARN."""
    image = client("ec2").describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    wanted = {"ImageId": image, "InstanceType": "t4g.nano", "MinCount": 1, "MaxCount": 1, "ClientToken": name}
    made = client("ec2").run_instances(**wanted)
    return f"{PLACE}:instance/{made['Instances'][0]['InstanceId']}"


def volume(name: str = "orders") -> str:
    """Make a volume; return its ARN."""
    made = client("ec2").create_volume(Size=1, AvailabilityZone=f"{REGION}a", ClientToken=name)
    return f"{PLACE}:volume/{made['VolumeId']}"


def nat_gateway(name: str = "orders") -> str:
    """Make a NAT gateway in a subnet of the default VPC; return its ARN."""
    subnet = client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
    made = client("ec2").create_nat_gateway(SubnetId=subnet, ConnectivityType="private", ClientToken=name)
    return f"{PLACE}:natgateway/{made['NatGateway']['NatGatewayId']}"


MAKERS = {
    "AWS::EC2::Instance": (instance, f"{PLACE}:instance/i-1"),
    "AWS::EC2::Volume": (volume, f"{PLACE}:volume/vol-1"),
    "AWS::EC2::NatGateway": (nat_gateway, f"{PLACE}:natgateway/nat-1"),
}
