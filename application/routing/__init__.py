"""Who is asked, in which order, and what became of it: policies, plan, health, failover."""
