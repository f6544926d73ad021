"""The first step of a study's way: an association comes in, its data sets go to stable storage, then it is answered."""
