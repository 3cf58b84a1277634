"""A portal with rows in every state, to be looked at: screenshots, Lighthouse, axe."""
