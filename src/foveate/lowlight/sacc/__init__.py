"""SACC: an illumination curve, learnt without labels for a model that stays as it is.

The one thing to know: the curve network never sees labels of dark pictures. It learns from a
pretext task (`pretext`, SACC-PT), or from what the frozen model says when many fixed curves vote
(`ensemble`, SACC-CE); `plus` then adapts the model itself (SACC+).

Source: Wang, Xu, Huang, Liu, ACM MM 2022 (arXiv 2210.03792); Wang, Luo, Yang, Liu, IEEE TPAMI 2024.
Loss weights, step counts, the filter of the votes and the rotated jigsaw's construction are not
given there; those here are ours.
"""
