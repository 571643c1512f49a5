"""Your own models, compared with corekeep's on the same rows: docs/how-to/own-model.md."""

from sklearn.ensemble import HistGradientBoostingClassifier


class MyModel:
    """Boosted trees of scikit-learn on all features; NaN is a value of its own."""

    def fit(self, X, y):
        """Train: X has one row per customer and snapshot and one column per feature."""
        self.trees = HistGradientBoostingClassifier(
            learning_rate=0.03, max_iter=150, max_leaf_nodes=7, max_features=0.5, random_state=0
        ).fit(X, y)

    def predict(self, X):
        """Return the probability that the customer churns, one per row."""
        return self.trees.predict_proba(X)[:, 1]
