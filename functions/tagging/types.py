"""The resource types that are tagged, one entry of data each: add a type by adding an entry.

Sources: CloudTrail's ``at`` from each service's documented or recorded events; ARNs and actions from the Service
Authorization Reference; that the tagging API knows the type from its "Services that support" page.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Taggable:
    """A resource type: how its creation shows in CloudTrail, what its ARN is, and which actions list and tag it."""

    cfn_type: str
    arn: str
    created_by: tuple[str, ...]
    at: str
    """JMESPath into CloudTrail's ``detail``: ARN, id, name or URL of what was created, one or many."""
    listing: tuple[str, str, str]
    """boto3 service, operation, and JMESPath to ARNs, ids, names or URLs in a page."""
    list_action: str
    unless: str = ""
    """JMESPath into CloudTrail's ``detail`` that finds something where what was created is not to be tagged."""
    scoped_listing: bool = False
    """AWS grants the listing on resources, not on ``*`` only."""
    config: bool = True
    """AWS Config's rules name the resource by something that is in its ARN."""
    repeats_in: str = ""
    """Region in which the creating call succeeds on what exists already, too; ``*`` is every region.

    Of the others, the API references have an error for it. Where a client token makes a call repeatable (EC2, Secrets
    Manager), only its maker knows it.
    """

    def proves_maker(self, region: str) -> bool:
        """Say whether who calls for the creation in a region is the one who made the resource."""
        return self.repeats_in not in {"*", region}

    @property
    def service(self) -> str:
        """The service as ARNs, event sources, IAM actions and EventBridge's "Tag Change on Resource" name it."""
        return self.arn.split(":")[2]

    @property
    def tag(self) -> tuple[str, ...]:
        """The service's own permissions that tag:TagResources needs beside itself."""
        return _TAG.get(self.service) or (f"{self.service}:TagResource",)

    @property
    def untag(self) -> tuple[str, ...]:
        """The service's own permissions that tag:UntagResources needs beside itself."""
        return _UNTAG.get(self.service) or (f"{self.service}:UntagResource",)


# Services whose permissions for tagging are not just TagResource and UntagResource.
_S3 = ("s3:GetBucketTagging", "s3:PutBucketTagging")
_TAG = {"ec2": ("ec2:CreateTags",), "rds": ("rds:AddTagsToResource",), "s3": _S3, "sqs": ("sqs:TagQueue",)}
_UNTAG = {"ec2": ("ec2:DeleteTags",), "rds": ("rds:RemoveTagsFromResource",), "s3": _S3, "sqs": ("sqs:UntagQueue",)}

# fmt: off
TYPES = (
    Taggable("AWS::KMS::Key", "arn:{partition}:kms:{region}:{account}:key/{id}",
             ("CreateKey",), "responseElements.keyMetadata.arn",
             ("kms", "list_keys", "Keys[].KeyArn"), "kms:ListKeys"),
    Taggable("AWS::DynamoDB::Table", "arn:{partition}:dynamodb:{region}:{account}:table/{id}",
             ("CreateTable",), "responseElements.tableDescription.tableArn || requestParameters.tableName",
             ("dynamodb", "list_tables", "TableNames[]"), "dynamodb:ListTables"),
    Taggable("AWS::Logs::LogGroup", "arn:{partition}:logs:{region}:{account}:log-group:{id}",
             ("CreateLogGroup",), "requestParameters.logGroupName",
             ("logs", "describe_log_groups", "logGroups[].logGroupName"), "logs:DescribeLogGroups"),
    Taggable("AWS::S3::Bucket", "arn:{partition}:s3:::{id}",
             ("CreateBucket",), "requestParameters.bucketName",
             ("s3", "list_buckets", "Buckets[].Name"), "s3:ListAllMyBuckets",
             repeats_in="us-east-1"),  # S3 API reference, CreateBucket, BucketAlreadyOwnedByYou
    Taggable("AWS::Lambda::Function", "arn:{partition}:lambda:{region}:{account}:function:{id}",
             ("CreateFunction20150331",), "responseElements.functionArn",
             ("lambda", "list_functions", "Functions[].FunctionArn"), "lambda:ListFunctions"),
    Taggable("AWS::SQS::Queue", "arn:{partition}:sqs:{region}:{account}:{id}",
             ("CreateQueue",), "responseElements.queueUrl",
             ("sqs", "list_queues", "QueueUrls[]"), "sqs:ListQueues",
             repeats_in="*"),  # SQS API reference, CreateQueue: returns the URL of the existing queue
    Taggable("AWS::SNS::Topic", "arn:{partition}:sns:{region}:{account}:{id}",
             ("CreateTopic",), "responseElements.topicArn",
             ("sns", "list_topics", "Topics[].TopicArn"), "sns:ListTopics",
             repeats_in="*"),  # SNS API reference, CreateTopic: "this action is idempotent"
    # Volumes that come to be with their instance show in no event of their own.
    Taggable("AWS::EC2::Instance", "arn:{partition}:ec2:{region}:{account}:instance/{id}",
             ("RunInstances",), "responseElements.instancesSet.items[].instanceId",
             ("ec2", "describe_instances",
              "Reservations[].Instances[] | [?State.Name != 'terminated' && State.Name != 'shutting-down'].InstanceId"),
             "ec2:DescribeInstances"),
    Taggable("AWS::EC2::Volume", "arn:{partition}:ec2:{region}:{account}:volume/{id}",
             ("CreateVolume",), "responseElements.volumeId",
             ("ec2", "describe_volumes", "Volumes[].VolumeId"), "ec2:DescribeVolumes"),
    Taggable("AWS::EC2::NatGateway", "arn:{partition}:ec2:{region}:{account}:natgateway/{id}",
             ("CreateNatGateway",), "responseElements.CreateNatGatewayResponse.natGateway.natGatewayId",
             ("ec2", "describe_nat_gateways", "NatGateways[?State != 'deleting' && State != 'deleted'].NatGatewayId"),
             "ec2:DescribeNatGateways"),
    Taggable("AWS::ECR::Repository", "arn:{partition}:ecr:{region}:{account}:repository/{id}",
             ("CreateRepository",), "responseElements.repository.repositoryArn",
             ("ecr", "describe_repositories", "repositories[].repositoryArn"), "ecr:DescribeRepositories",
             scoped_listing=True),
    Taggable("AWS::ECS::Cluster", "arn:{partition}:ecs:{region}:{account}:cluster/{id}",
             ("CreateCluster",), "responseElements.cluster.clusterArn",
             ("ecs", "list_clusters", "clusterArns[]"), "ecs:ListClusters",
             repeats_in="*"),  # ECS API reference, CreateCluster, has no such error; terraform-provider-aws #44817
    Taggable("AWS::EFS::FileSystem", "arn:{partition}:elasticfilesystem:{region}:{account}:file-system/{id}",
             ("CreateFileSystem",), "responseElements.fileSystemArn || responseElements.fileSystemId",
             ("efs", "describe_file_systems", "FileSystems[].FileSystemArn"), "elasticfilesystem:DescribeFileSystems",
             scoped_listing=True),
    # Secrets that a service keeps for itself (rds!db-…) are that service's.
    Taggable("AWS::SecretsManager::Secret", "arn:{partition}:secretsmanager:{region}:{account}:secret:{id}",
             ("CreateSecret",), "responseElements.arn || responseElements.aRN",
             ("secretsmanager", "list_secrets", "SecretList[?!OwningService].ARN"), "secretsmanager:ListSecrets",
             unless="[responseElements.arn, responseElements.aRN][?@ && contains(@, '!')]"),
    Taggable("AWS::StepFunctions::StateMachine", "arn:{partition}:states:{region}:{account}:stateMachine:{id}",
             ("CreateStateMachine",), "responseElements.stateMachineArn",
             ("stepfunctions", "list_state_machines", "stateMachines[].stateMachineArn"), "states:ListStateMachines",
             repeats_in="*"),  # Step Functions API reference, CreateStateMachine: "is an idempotent API"
    # A rule of Config names a database by its resource id (db-AB12…), which is no part of the ARN.
    Taggable("AWS::RDS::DBInstance", "arn:{partition}:rds:{region}:{account}:db:{id}",
             ("CreateDBInstance", "CreateDBInstanceReadReplica", "RestoreDBInstanceFromDBSnapshot",
              "RestoreDBInstanceToPointInTime"), "responseElements.dBInstanceArn",
             ("rds", "describe_db_instances", "DBInstances[].DBInstanceArn"), "rds:DescribeDBInstances",
             scoped_listing=True, config=False),
    Taggable("AWS::RDS::DBCluster", "arn:{partition}:rds:{region}:{account}:cluster:{id}",
             ("CreateDBCluster", "RestoreDBClusterFromSnapshot", "RestoreDBClusterToPointInTime"),
             "responseElements.dBClusterArn",
             ("rds", "describe_db_clusters", "DBClusters[].DBClusterArn"), "rds:DescribeDBClusters",
             scoped_listing=True, config=False),
)
# fmt: on
