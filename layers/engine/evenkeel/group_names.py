"""All groups of controls, and the suffixes of their rules' names. Generated: run make generate."""

RULES: dict[str, tuple[str, ...]] = {
    "lambda": ("ApiCall", "ConfigRule", "ConfigItem", "SecurityHub"),
    "cloudtrail": ("ApiCall", "ConfigRule", "ConfigItem"),
    "dynamodb": ("ApiCall", "ConfigRule", "ConfigItem", "SecurityHub"),
    "ec2": ("ApiCall", "ConfigRule", "ConfigItem", "SecurityHub"),
    "kms": ("ApiCall", "ConfigRule", "ConfigItem", "SecurityHub"),
    "logs": ("ApiCall", "ConfigRule", "ConfigItem", "SecurityHub"),
    "rds": ("ApiCall", "ConfigRule", "ConfigItem", "SecurityHub"),
    "s3": ("ApiCall", "ConfigRule", "ConfigItem", "SecurityHub"),
    "tagging": ("ApiCall", "ConfigRule", "ConfigItem", "TagChange"),
}
