"""What a stack costs at list prices: idle, by the event, and in the bills of other services."""
