#!/usr/bin/env bats
# What the tool itself costs.

@test "nothing" {
  true
}
