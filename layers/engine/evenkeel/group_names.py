"""All groups of controls, and the suffixes of their rules' names. Generated: run make generate."""

RULES: dict[str, tuple[str, ...]] = {
    "lambda": ("ApiCall", "Config", "SecurityHub"),
    "cloudtrail": ("ApiCall", "Config"),
    "dynamodb": ("ApiCall", "Config", "SecurityHub"),
    "ec2": ("ApiCall", "Config", "SecurityHub"),
    "kms": ("ApiCall", "Config", "SecurityHub"),
    "logs": ("ApiCall", "Config", "SecurityHub"),
    "rds": ("ApiCall", "Config", "SecurityHub"),
    "s3": ("ApiCall", "Config", "SecurityHub"),
    "tagging": ("ApiCall", "Config", "TagChange"),
}
