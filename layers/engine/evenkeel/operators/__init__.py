"""What people ask for, in their proved name: runs, approvals, releases, dead letters."""
