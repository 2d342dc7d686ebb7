"""The figures of Beaulieu-Jones et al. 2019, of any cohort with visits, on one page; and a blinded reader's kit."""
