"""Training small LSTMs on tables: data sets, fitting, recipes. Keras is imported inside functions."""
