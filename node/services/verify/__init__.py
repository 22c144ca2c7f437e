"""The examination of a region: everything derived again and compared with what is stored."""
