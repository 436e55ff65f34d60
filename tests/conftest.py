from hypothesis import settings

settings.register_profile("focal", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("focal")
