"""Training small LSTMs on tables: data sets, fitting, recipes. No module imports Keras."""
