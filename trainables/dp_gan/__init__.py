"""The paper's own command: one configuration of its network, trained epoch by epoch, without a search."""
