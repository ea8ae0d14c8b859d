"""What one event costs, measured against bare boto3 on the same local AWS in the same run."""
