//! Labs: the disposable container in which a run happens, and what labs are made of.
