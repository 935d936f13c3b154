"""What a model is worth: predictions → metrics → sentences → pictures → pages."""
