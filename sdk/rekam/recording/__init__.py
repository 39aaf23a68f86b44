"""The way of a logged value: log call -> buffer -> frames -> spool. Delivery takes it from there."""
