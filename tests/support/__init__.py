"""What tests stand on: machines, Masters, markets, disks that lose power. No tests."""
