"""Makes instances, volumes and NAT gateways for tests."""

from __future__ import annotations

from tests.world import ACCOUNT, REGION, client

PLACE = f"arn:aws:ec2:{REGION}:{ACCOUNT}"


def instance() -> str:
    """Make an instance; return its ARN."""
    image = client("ec2").describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    made = client("ec2").run_instances(ImageId=image, InstanceType="t4g.nano", MinCount=1, MaxCount=1)
    return f"{PLACE}:instance/{made['Instances'][0]['InstanceId']}"


def volume() -> str:
    """Make a volume; return its ARN."""
    return f"{PLACE}:volume/{client('ec2').create_volume(Size=1, AvailabilityZone=f'{REGION}a')['VolumeId']}"


def nat_gateway() -> str:
    """Make a NAT gateway in a subnet of the default VPC; return its ARN."""
    subnet = client("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
    made = client("ec2").create_nat_gateway(SubnetId=subnet, ConnectivityType="private")
    return f"{PLACE}:natgateway/{made['NatGateway']['NatGatewayId']}"


MAKERS = {
    "AWS::EC2::Instance": (instance, f"{PLACE}:instance/i-1"),
    "AWS::EC2::Volume": (volume, f"{PLACE}:volume/vol-1"),
    "AWS::EC2::NatGateway": (nat_gateway, f"{PLACE}:natgateway/nat-1"),
}
