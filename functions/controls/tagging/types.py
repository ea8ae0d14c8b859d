"""The resource types that are tagged, one entry each: add a type by adding an entry.

Sources: each service's documented or recorded events for ``at``; the Service Authorization Reference for ARNs and
actions; the tagging API's page "Services that support" for the types.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Listing:
    """The operation that lists all resources of a type."""

    service: str
    """Its name in boto3."""
    operation: str
    path: str
    """JMESPath to ARNs, ids, names or URLs in a page."""
    action: str
    page: int = 0
    """How many resources to request at once; 0 if the service pages by itself."""
    params: Mapping[str, str] = field(default_factory=dict)
    """``{region}`` in a value stands for the region to list."""


@dataclass(frozen=True, slots=True)
class Look:
    """The call that checks whether one resource exists, of the same service as the listing.

    ``{arn}`` and ``{id}`` in the parameters stand for the resource's.
    """

    operation: str
    params: Mapping[str, Any]
    path: str
    """JMESPath to one or more objects with ``id``: ARN, id, name or URL. Resources being deleted are left out.

    Optional keys: ``region``, if the answer includes resources of other regions; ``spared``, why a resource cannot be
    tagged; ``busy``, why it cannot be tagged yet.
    """
    action: str
    scoped: bool = True
    """AWS supports resource-level permissions for the action."""
    gone: str = ""
    """The service's own error code for a resource that does not exist, besides the common ones."""


@dataclass(frozen=True, slots=True)
class Taggable:
    """A resource type: its creation in CloudTrail, its ARN, and how it is listed, found and tagged."""

    cfn_type: str
    arn: str
    created_by: tuple[str, ...]
    at: str
    """JMESPath into CloudTrail's ``detail``: ARN, id, name or URL of one or more created resources."""
    listing: Listing
    look: Look
    unless: str = ""
    """JMESPath into CloudTrail's ``detail`` that finds something if the created resource must not be tagged."""
    changed_by: tuple[str, ...] = ()
    """Calls after which an existing resource is read again; their caller is not its creator."""
    changed_at: str = ""
    """Like ``at``, for ``changed_by``."""
    lower_case: bool = False
    """AWS stores the name in lower case, however the caller wrote it."""
    replicates: bool = False
    """A replica in another region gets its tags only from its primary."""
    config: bool = True
    """AWS Config's rules identify the resource by a part of its ARN."""
    repeats_in: str = ""
    """Region in which the creating call also succeeds on an existing resource; ``*`` means every region.

    For all other types the API reference lists an error for that case. If a client token makes a call repeatable (EC2,
    Secrets Manager), only the creator knows the token.
    """

    def proves_creator(self, region: str) -> bool:
        """Return whether the caller of the creating call in a region is certain to have created the resource."""
        return self.repeats_in not in {"*", region}

    @property
    def service(self) -> str:
        """The service's name in ARNs, event sources, IAM actions and EventBridge's "Tag Change on Resource"."""
        return self.arn.split(":")[2]

    def name(self, arn: str) -> str:
        """Return the part of a resource's ARN that ``{id}`` stands for."""
        return arn.split(":", 5)[5].removeprefix(self.arn.split(":", 5)[5].removesuffix("{id}"))

    @property
    def tag(self) -> tuple[str, ...]:
        """The service's own permissions that tag:TagResources also needs."""
        return _TAG.get(self.service) or (f"{self.service}:TagResource",)

    @property
    def untag(self) -> tuple[str, ...]:
        """The service's own permissions that tag:UntagResources also needs."""
        return _UNTAG.get(self.service) or (f"{self.service}:UntagResource",)


# Services whose tagging permissions are not TagResource and UntagResource.
_S3 = ("s3:GetBucketTagging", "s3:PutBucketTagging")
_TAG = {"ec2": ("ec2:CreateTags",), "rds": ("rds:AddTagsToResource",), "s3": _S3, "sqs": ("sqs:TagQueue",)}
_UNTAG = {"ec2": ("ec2:DeleteTags",), "rds": ("rds:RemoveTagsFromResource",), "s3": _S3, "sqs": ("sqs:UntagQueue",)}

# The live resources in listings that include deleted ones for a while.
_INSTANCES = "Reservations[].Instances[] | [?State.Name != 'terminated' && State.Name != 'shutting-down']"
_VOLUMES = "Volumes[?State != 'deleting' && State != 'deleted']"
_GATEWAYS = "NatGateways[?State != 'deleting' && State != 'deleted']"
_FILE_SYSTEMS = "FileSystems[?LifeCycleState != 'deleting' && LifeCycleState != 'deleted']"
_DB_INSTANCES = "DBInstances[?DBInstanceStatus != 'deleting']"
_DB_CLUSTERS = "DBClusters[?Status != 'deleting']"

# Three services do not page unless asked to. SQS leaves out queues beyond the first 1,000 (developer guide,
# "Amazon SQS list queue pagination"), EC2's answer may be throttled or time out (developer guide, "Pagination in the
# Amazon EC2 API"), S3 refuses accounts with a raised quota (API reference, ListBuckets). The others' pages hold 50 or
# 100 by default (API references of the operations).
_PAGE = 1000
_PAGE_OF_EC2 = 500  # one instance takes many kilobytes, and the read timeout is 5 seconds

# fmt: off
TYPES = (
    # AWS managed keys and keys being deleted cannot be tagged (KMS API reference, TagResource; developer guide,
    # "Key states of AWS KMS keys"); ListKeys does not say which they are.
    Taggable("AWS::KMS::Key", "arn:{partition}:kms:{region}:{account}:key/{id}",
             ("CreateKey",), "responseElements.keyMetadata.arn",
             Listing("kms", "list_keys", "Keys[].KeyArn", "kms:ListKeys"),
             Look("describe_key", {"KeyId": "{arn}"},
                  "KeyMetadata.{id: Arn, spared: (KeyManager == 'AWS' && 'AWS managed keys cannot be tagged') || "
                  "(contains(['PendingDeletion', 'PendingReplicaDeletion'], KeyState) && 'the key is being deleted')}",
                  "kms:DescribeKey")),
    Taggable("AWS::DynamoDB::Table", "arn:{partition}:dynamodb:{region}:{account}:table/{id}",
             ("CreateTable", "ImportTable", "RestoreTableFromBackup", "RestoreTableToPointInTime"),
             "responseElements.[tableDescription.tableArn, importTableDescription.tableArn][] || "
             "requestParameters.[tableName, targetTableName, tableCreationParameters.tableName]",
             Listing("dynamodb", "list_tables", "TableNames[]", "dynamodb:ListTables"),
             Look("describe_table", {"TableName": "{id}"},
                  "[Table][?TableStatus != 'DELETING'].{id: TableArn, "
                  "busy: TableStatus == 'CREATING' && 'the table is being created'}", "dynamodb:DescribeTable")),
    Taggable("AWS::Logs::LogGroup", "arn:{partition}:logs:{region}:{account}:log-group:{id}",
             ("CreateLogGroup",), "requestParameters.logGroupName",
             Listing("logs", "describe_log_groups", "logGroups[].logGroupName", "logs:DescribeLogGroups"),
             Look("describe_log_groups", {"logGroupIdentifiers": ["{id}"]}, "logGroups[].{id: logGroupName}",
                  "logs:DescribeLogGroups", scoped=False)),
    # A listing by prefix returns buckets of all regions; the tagging API covers only its own region (its API
    # reference, GetResources and TagResources).
    Taggable("AWS::S3::Bucket", "arn:{partition}:s3:::{id}",
             ("CreateBucket",), "requestParameters.bucketName",
             Listing("s3", "list_buckets", "Buckets[].Name", "s3:ListAllMyBuckets", page=_PAGE,
                     params={"BucketRegion": "{region}"}),
             Look("list_buckets", {"Prefix": "{id}", "MaxBuckets": _PAGE},
                  "Buckets[].{id: Name, region: BucketRegion}", "s3:ListAllMyBuckets", scoped=False),
             repeats_in="us-east-1"),  # S3 API reference, CreateBucket, BucketAlreadyOwnedByYou
    Taggable("AWS::Lambda::Function", "arn:{partition}:lambda:{region}:{account}:function:{id}",
             ("CreateFunction20150331",), "responseElements.functionArn",
             Listing("lambda", "list_functions", "Functions[].FunctionArn", "lambda:ListFunctions"),
             Look("get_function_configuration", {"FunctionName": "{arn}"}, "{id: FunctionArn}",
                  "lambda:GetFunctionConfiguration")),
    Taggable("AWS::SQS::Queue", "arn:{partition}:sqs:{region}:{account}:{id}",
             ("CreateQueue",), "responseElements.queueUrl",
             Listing("sqs", "list_queues", "QueueUrls[]", "sqs:ListQueues", page=_PAGE),
             Look("get_queue_url", {"QueueName": "{id}"}, "{id: QueueUrl}", "sqs:GetQueueUrl"),
             repeats_in="*"),  # SQS API reference, CreateQueue: returns the URL of the existing queue
    Taggable("AWS::SNS::Topic", "arn:{partition}:sns:{region}:{account}:{id}",
             ("CreateTopic",), "responseElements.topicArn",
             Listing("sns", "list_topics", "Topics[].TopicArn", "sns:ListTopics"),
             Look("get_topic_attributes", {"TopicArn": "{arn}"}, "Attributes.{id: TopicArn}",
                  "sns:GetTopicAttributes"),
             repeats_in="*"),  # SNS API reference, CreateTopic: "this action is idempotent"
    Taggable("AWS::EC2::Instance", "arn:{partition}:ec2:{region}:{account}:instance/{id}",
             ("RunInstances",), "responseElements.instancesSet.items[].instanceId",
             Listing("ec2", "describe_instances", f"{_INSTANCES}.InstanceId", "ec2:DescribeInstances",
                     page=_PAGE_OF_EC2),
             Look("describe_instances", {"InstanceIds": ["{id}"]}, f"{_INSTANCES}.{{id: InstanceId}}",
                  "ec2:DescribeInstances", scoped=False, gone="InvalidInstanceID.NotFound")),
    Taggable("AWS::EC2::Volume", "arn:{partition}:ec2:{region}:{account}:volume/{id}",
             ("CreateVolume", "CopyVolumes"),
             "responseElements.[@, CopyVolumesResponse.volumeSet.item, volumeSet.items][].volumeId",
             Listing("ec2", "describe_volumes", f"{_VOLUMES}.VolumeId", "ec2:DescribeVolumes", page=_PAGE_OF_EC2),
             Look("describe_volumes", {"VolumeIds": ["{id}"]}, f"{_VOLUMES}.{{id: VolumeId}}",
                  "ec2:DescribeVolumes", scoped=False, gone="InvalidVolume.NotFound")),
    Taggable("AWS::EC2::NatGateway", "arn:{partition}:ec2:{region}:{account}:natgateway/{id}",
             ("CreateNatGateway",), "responseElements.CreateNatGatewayResponse.natGateway.natGatewayId",
             Listing("ec2", "describe_nat_gateways", f"{_GATEWAYS}.NatGatewayId", "ec2:DescribeNatGateways",
                     page=_PAGE_OF_EC2),
             Look("describe_nat_gateways", {"NatGatewayIds": ["{id}"]}, f"{_GATEWAYS}.{{id: NatGatewayId}}",
                  "ec2:DescribeNatGateways", scoped=False, gone="NatGatewayNotFound")),
    Taggable("AWS::ECR::Repository", "arn:{partition}:ecr:{region}:{account}:repository/{id}",
             ("CreateRepository",), "responseElements.repository.repositoryArn",
             Listing("ecr", "describe_repositories", "repositories[].repositoryArn", "ecr:DescribeRepositories"),
             Look("describe_repositories", {"repositoryNames": ["{id}"]}, "repositories[].{id: repositoryArn}",
                  "ecr:DescribeRepositories", gone="RepositoryNotFoundException")),
    # Deleted clusters remain visible for a while as INACTIVE (ECS API reference, DeleteCluster).
    Taggable("AWS::ECS::Cluster", "arn:{partition}:ecs:{region}:{account}:cluster/{id}",
             ("CreateCluster",), "responseElements.cluster.clusterArn",
             Listing("ecs", "list_clusters", "clusterArns[]", "ecs:ListClusters"),
             Look("describe_clusters", {"clusters": ["{arn}"]}, "clusters[?status != 'INACTIVE'].{id: clusterArn}",
                  "ecs:DescribeClusters"),
             repeats_in="*"),  # ECS API reference, CreateCluster, has no such error; terraform-provider-aws #44817
    Taggable("AWS::EFS::FileSystem", "arn:{partition}:elasticfilesystem:{region}:{account}:file-system/{id}",
             ("CreateFileSystem",), "responseElements.fileSystemArn || responseElements.fileSystemId",
             Listing("efs", "describe_file_systems", f"{_FILE_SYSTEMS}.FileSystemArn",
                     "elasticfilesystem:DescribeFileSystems"),
             Look("describe_file_systems", {"FileSystemId": "{id}"}, f"{_FILE_SYSTEMS}.{{id: FileSystemArn}}",
                  "elasticfilesystem:DescribeFileSystems", gone="FileSystemNotFound")),
    # Secrets that a service manages (rds!db-…) belong to that service. A replica "can't be updated independently
    # from its primary secret" (user guide, "Promote a replica secret"); the primary gives it its tags.
    Taggable("AWS::SecretsManager::Secret", "arn:{partition}:secretsmanager:{region}:{account}:secret:{id}",
             ("CreateSecret",), "responseElements.arn || responseElements.aRN",
             Listing("secretsmanager", "list_secrets", "SecretList[?!OwningService].ARN",
                     "secretsmanager:ListSecrets"),
             Look("describe_secret", {"SecretId": "{arn}"},
                  "{id: ARN, region: PrimaryRegion, spared: "
                  "(OwningService && 'a service manages the secret') || "
                  "(DeletedDate && 'the secret is being deleted')}", "secretsmanager:DescribeSecret"),
             unless="[responseElements.arn, responseElements.aRN, requestParameters.secretId][?@ && contains(@, '!')]",
             changed_by=("ReplicateSecretToRegions", "UntagResource"),
             changed_at="responseElements.arn || requestParameters.secretId",
             replicates=True),
    # Anything but the metadata would need the key of an encrypted definition (API reference, DescribeStateMachine).
    Taggable("AWS::StepFunctions::StateMachine", "arn:{partition}:states:{region}:{account}:stateMachine:{id}",
             ("CreateStateMachine",), "responseElements.stateMachineArn",
             Listing("stepfunctions", "list_state_machines", "stateMachines[].stateMachineArn",
                     "states:ListStateMachines"),
             Look("describe_state_machine", {"stateMachineArn": "{arn}", "includedData": "METADATA_ONLY"},
                  "[@][?status != 'DELETING'].{id: stateMachineArn}", "states:DescribeStateMachine",
                  gone="StateMachineDoesNotExist"),
             repeats_in="*"),  # Step Functions API reference, CreateStateMachine: "is an idempotent API"
    # AWS Config rules identify a database by its resource id (db-AB12…), which is not part of the ARN.
    Taggable("AWS::RDS::DBInstance", "arn:{partition}:rds:{region}:{account}:db:{id}",
             ("CreateDBInstance", "CreateDBInstanceReadReplica", "RestoreDBInstanceFromDBSnapshot",
              "RestoreDBInstanceFromS3", "RestoreDBInstanceToPointInTime"),
             "responseElements.dBInstanceArn || requestParameters.[dBInstanceIdentifier, targetDBInstanceIdentifier]",
             Listing("rds", "describe_db_instances", f"{_DB_INSTANCES}.DBInstanceArn", "rds:DescribeDBInstances"),
             Look("describe_db_instances", {"DBInstanceIdentifier": "{id}"}, f"{_DB_INSTANCES}.{{id: DBInstanceArn}}",
                  "rds:DescribeDBInstances", gone="DBInstanceNotFound"),
             lower_case=True, config=False),
    Taggable("AWS::RDS::DBCluster", "arn:{partition}:rds:{region}:{account}:cluster:{id}",
             ("CreateDBCluster", "RestoreDBClusterFromS3", "RestoreDBClusterFromSnapshot",
              "RestoreDBClusterToPointInTime"),
             "responseElements.dBClusterArn || requestParameters.dBClusterIdentifier",
             Listing("rds", "describe_db_clusters", f"{_DB_CLUSTERS}.DBClusterArn", "rds:DescribeDBClusters"),
             Look("describe_db_clusters", {"DBClusterIdentifier": "{id}"}, f"{_DB_CLUSTERS}.{{id: DBClusterArn}}",
                  "rds:DescribeDBClusters", gone="DBClusterNotFoundFault"),
             lower_case=True, config=False),
)
# fmt: on
