"""What a stack costs at list prices: idle, per event, and in the bills of other services."""
