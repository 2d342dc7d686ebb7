"""What the SPRINT paper's notebooks print: docs/paper.md says which notebook has what.

Source: Beaulieu-Jones et al. 2019, greenelab/SPRINT_gan.
"""

COLUMNS = ("the paper, non-private", "the paper, private (noise as published)")

FIGURES: tuple[tuple[str, tuple[str, ...], tuple[str, str]], ...] = (
    ("figure 3: Spearman of 630 pairs", ("spearman",), ("0.964", "0.879")),
    ("figure 4 A: logistic regression, all picked epochs (real 0.934)", ("logistic_regression",), ("0.890", "0.876")),
    ("figure 4 B: random forest (real 0.926)", ("random_forest",), ("0.908", "0.875")),
    ("figure 4 C: linear SVM (real 0.936)", ("linear_svm",), ("0.912", "0.902")),
    ("figure 4 D: nearest neighbours (real 0.875)", ("k_nearest_neighbours",), ("0.861", "0.841")),
    ("figure 4 E: Spearman of importances", ("weights random_forest",), ("0.721", "0.726")),
    ("figure 4 F: Spearman of logistic coefficients", ("weights logistic_regression",), ("0.772", "0.582")),
    ("figure 4 G: Spearman of SVM coefficients", ("weights linear_svm",), ("0.760", "0.581")),
    ("best epoch's accuracy by random forest, on training participants; ours on others",
     ("best accuracy_random_forest",), ("not printed", "0.863")),
    ("best epoch's accuracy by logistic regression, likewise",
     ("best accuracy_logistic_regression",), ("not printed", "0.741")),
    ("mean SBP, DBP, drug classes (real 129.0, 72.0, 2.27)",
     ("mean SBP", "mean DBP", "mean N_BPCLASSES"), ("128.3, 72.4, 1.96", "127.7, 73.5, 2.05")),
    ("reader's rating, real / synthetic", (), ("", "5.08 / 4.52")),
    ("t test; Mann-Whitney, one-sided", (), ("", "p = 0.170; p = 0.083")),
    ("arm guessed right, real / synthetic", (), ("", "86 % / 86 %")),
)  # fmt: skip
"""A line of the table: its words, names of our figures (none where a reader judges), and the paper's numbers."""
